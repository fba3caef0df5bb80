"""Known vulnerabilities: named and failed on, unless an exception is written; what could not be looked up is said."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "audit.py"
VULNERABLE = {"name": "left-pad", "version": "1.0", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2026-1"], "fix_versions": ["1.1"]}]}
CLEAN = {"name": "right-pad", "version": "2.0", "vulns": []}
UNKNOWN = {"name": "top-pad", "skip_reason": "Dependency not found on PyPI and could not be audited: top-pad (3.0)"}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    spec = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "COMPONENTS", tmp_path)
    (tmp_path / "base.lock").write_text("")
    (tmp_path / "audit_exceptions.txt").write_text("# Why.\n")

    def audit(answer: str, *options: str, error: str = "") -> tuple[int, str]:
        finished = subprocess.CompletedProcess([], 0, answer, error)
        monkeypatch.setattr(script.subprocess, "run", lambda *_, **__: finished)
        monkeypatch.setattr(sys, "argv", ["audit.py", *options])
        with pytest.raises(SystemExit) as ended:
            script.main()
        return int(ended.value.code or 0), capsys.readouterr().out

    return audit


def answer(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages})


def test_a_known_vulnerability_fails_and_is_named(run: Any) -> None:
    status, printed = run(answer(CLEAN, VULNERABLE))
    assert status == 1
    assert "base.lock: left-pad 1.0: PYSEC-1, fixed in 1.1. Upgrade it with `make lock`" in printed
    assert "right-pad" not in printed


@pytest.mark.parametrize("identifier", ["PYSEC-1", "CVE-2026-1"])
def test_a_written_exception_passes(run: Any, tmp_path: Path, identifier: str) -> None:
    (tmp_path / "audit_exceptions.txt").write_text(f"# Why.\n{identifier} not reached: we pad nothing, until 2027\n")
    assert run(answer(VULNERABLE), "--require") == (0, "")


def test_what_is_not_known_is_said_and_fails_where_it_is_required(run: Any) -> None:
    assert run(answer(CLEAN, UNKNOWN)) == (0, "base.lock: not checked: top-pad.\n")
    assert run(answer(CLEAN, UNKNOWN), "--require")[0] == 1


def test_a_database_that_cannot_be_reached_is_said_and_fails_where_it_is_required(run: Any) -> None:
    status, printed = run("", error="Traceback\nProxyError: no way out\n")
    assert (status, printed) == (0, "base.lock: not checked: all packages: ProxyError: no way out.\n")
    assert run("", "--require", error="no way out")[0] == 1
