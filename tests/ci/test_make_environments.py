"""The Makefile's environments: `make demo` and `make install` share one, in any order, and neither installs twice what is there.

Make is the real one; Python is a script that writes down how it was called.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Makefile", "pyproject.toml", "requirements.lock", "demo/requirements.lock", "tests/oldest.lock")
PYTHON = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
    "-m venv "*)
        case "$*" in *--without-pip*) ;; *) test -z "$NO_ENSUREPIP" || exit 1 ;; esac
        for folder; do :; done
        mkdir -p "$folder/bin" && cp "$0" "$folder/bin/python" ;;
esac
case "$*" in *"$FAILS_ON"*) test -z "$FAILS_ON" || exit 1 ;; esac
"""
FULL, DEMO, OLDEST, ITSELF = "-r requirements.lock", "-r demo/requirements.lock", "-r tests/oldest.lock", "-e ."


class Clone:
    def __init__(self, folder: Path) -> None:
        self.folder, self.calls = folder, folder / "calls.txt"
        for name in FILES:
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
            os.utime(folder / name, (1_700_000_000, 1_700_000_000))
        self.python = folder / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)

    def make(self, *targets: str, status: int = 0, **environment: str) -> list[str]:
        """Run Make and return how Python was called, but for the question for its version."""
        self.calls.write_text("")
        ours = {"PATH": os.environ["PATH"], "CALLS": str(self.calls), "NO_ENSUREPIP": "", "FAILS_ON": "", **environment}
        done = subprocess.run(["make", *targets, f"PYTHON={self.python}"], cwd=self.folder, env=ours, capture_output=True, text=True, check=False)
        assert (done.returncode != 0) == (status != 0), done.stderr
        return [line for line in self.calls.read_text().splitlines() if not line.startswith("-c ")]

    def change(self, name: str) -> None:
        os.utime(self.folder / name, None)
        # A time in the past for what was made before: a file system may count in whole seconds.
        for stamp in self.folder.glob(".venv*/.*"):
            os.utime(stamp, (1_700_000_100, 1_700_000_100))


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def installed(calls: list[str]) -> list[str]:
    """Return what pip was asked for, in order."""
    return [what for call in calls if "pip install" in call for what in (FULL, DEMO, OLDEST, ITSELF) if call.endswith(what)]


def test_the_demo_installs_its_own_lock_with_hashes_and_plays(clone: Clone) -> None:
    calls = clone.make("demo")
    assert installed(calls) == [DEMO, ITSELF]
    assert calls[0].startswith("-m venv")
    assert "--require-hashes" in calls[1]
    assert calls[-1] == "demo/run.py"


def test_tests_after_the_demo_add_the_rest_and_the_demo_after_them_adds_nothing(clone: Clone) -> None:
    clone.make("demo")
    calls = clone.make("test")
    assert installed(calls) == [FULL, ITSELF]
    assert not any(call.startswith("-m venv") for call in calls)
    assert clone.make("demo") == ["demo/run.py"]
    assert [call for call in clone.make("test") if "pip" in call] == []


def test_the_demo_after_the_tests_installs_nothing(clone: Clone) -> None:
    assert installed(clone.make("test")) == [FULL, ITSELF]
    assert clone.make("demo") == ["demo/run.py"]


def test_installing_twice_does_nothing(clone: Clone) -> None:
    assert installed(clone.make("install")) == [FULL, ITSELF]
    assert clone.make("install") == []


@pytest.mark.parametrize(
    ("changed", "by_demo", "by_install"),
    [
        ("requirements.lock", [], [FULL, ITSELF]),
        ("demo/requirements.lock", [DEMO, ITSELF], []),
        ("pyproject.toml", [DEMO, ITSELF], [FULL, ITSELF]),
    ],
)
def test_a_changed_file_installs_what_it_names(clone: Clone, changed: str, by_demo: list[str], by_install: list[str]) -> None:
    clone.make("install")
    clone.change(changed)
    assert installed(clone.make("demo")) == by_demo
    assert installed(clone.make("install")) == by_install
    assert installed(clone.make("install", "demo")) == []


@pytest.mark.parametrize("failing", ["requirements.lock", ITSELF])
@pytest.mark.parametrize("target", ["demo", "install"])
def test_what_failed_is_tried_again(clone: Clone, failing: str, target: str) -> None:
    calls = clone.make(target, status=1, FAILS_ON=failing)
    assert "demo/run.py" not in calls
    again = installed(clone.make(target))
    assert again == [DEMO if target == "demo" else FULL, ITSELF]


def test_a_python_without_ensurepip_lends_its_pip(clone: Clone) -> None:
    calls = clone.make("demo", NO_ENSUREPIP="yes")
    assert calls[1] == "-m venv --clear --without-pip .venv"
    assert calls[2] == "-m pip --python .venv/bin/python install --quiet pip"
    assert installed(calls) == [DEMO, ITSELF]


def test_a_python_of_another_version_is_refused_before_anything_is_made(clone: Clone) -> None:
    assert clone.make("demo", status=1, FAILS_ON="sys.exit") == []
    assert not (clone.folder / ".venv").exists()


def test_the_oldest_versions_have_an_environment_of_their_own(clone: Clone) -> None:
    calls = clone.make("test-oldest")
    assert installed(calls) == [OLDEST, ITSELF]
    assert calls[-1].startswith("-m pytest tests/pipeline tests/pipelines tests/submission tests/trigger")
    assert [call for call in clone.make("test-oldest") if "install" in call] == []
    assert installed(clone.make("install")) == [FULL, ITSELF]
    assert (clone.folder / ".venv-oldest" / "bin" / "python").exists()
