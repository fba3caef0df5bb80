"""Whoever silences a checker says why on the same line; whether a checker still has to be silenced, ruff (RUF100) and mypy (strict) say themselves."""

from __future__ import annotations

import re
import subprocess
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SUPPRESSION = re.compile(r"#\s*(noqa|nosec|type:\s*ignore|mypy:|ruff:|pragma:\s*no)", re.IGNORECASE)
WITH_REASON = re.compile(
    r"#\s*((?:ruff:\s*)?noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*|nosec\s+B\d+|type:\s*ignore\[[\w-]+(,\s*[\w-]+)*\])(\s+#\s+|\s+-\s+)\S.*\w{2,}", re.IGNORECASE
)


def unexplained(path: Path) -> list[str]:
    """Return the comments of a file that silence a checker without naming its rule and a reason."""
    with path.open("rb") as file:
        comments = [(token.start[0], token.string) for token in tokenize.tokenize(file.readline) if token.type == tokenize.COMMENT]
    return [f"{path.name}:{line}: {text}" for line, text in comments if SUPPRESSION.match(text) and not WITH_REASON.match(text)]


def test_every_suppression_has_its_reason_beside_it() -> None:
    listed = subprocess.run(["git", "ls-files", "-z", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = [ROOT / name for name in listed.split("\0") if name and (ROOT / name).exists()]
    assert len(files) > 300
    assert [found for path in files for found in unexplained(path)] == []


@pytest.mark.parametrize(
    ("comment", "passes"),
    [
        ("# noqa: S603  # our own program and paths", True),
        ("# noqa: TC001, PLC0415 - Typer reads it at run time", True),
        ("# type: ignore[misc]  # kfp has no types", True),
        ("# a sentence about noqa: and type: ignore", True),
        ("# noqa", False),
        ("# noqa: S603", False),
        ("# NOQA:S603", False),
        ("# noqa: S603  #", False),
        ("# noqa  # every rule at once", False),
        ("# type: ignore  # every error at once", False),
        ("# type: ignore[misc]", False),
        ("# nosec B603", False),
        ("# ruff: noqa: ARG001  # the contract names the arguments", True),
        ("# ruff: noqa: ARG001", False),
        ("# ruff: noqa", False),
    ],
)
def test_what_counts_as_a_reason(tmp_path: Path, comment: str, passes: bool) -> None:
    (tmp_path / "module.py").write_text(f'text = "# noqa"  {comment}\n')
    assert unexplained(tmp_path / "module.py") == ([] if passes else [f"module.py:1: {comment}"])
