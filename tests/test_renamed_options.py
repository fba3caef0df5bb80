"""Options of the command line have one name for one thing, and those that had another still work and say so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from typer.main import get_group

from evergreen.cli.main import app

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERGREEN = str(Path(sys.executable).parent / "evergreen")
COPY = ["rain", "3", "--to-tracking-uri", "http://there", "--to-ledger-uri", "/there", "--reason", "good"]
RENAMED = [
    (["backtest"], ["data.csv", "--timestamp-column", "time"], "--target", "--target-column", "rain"),
    (["drift"], ["a.csv", "b.csv"], "--ignore", "--exclude", "rain"),
    (["validate"], ["data.csv", "--contract", "c.yaml"], "--without", "--exclude", "rain"),
    (["copy"], COPY, "--expect", "--expected-champion", "2"),
    (["schedule", "create"], ["nightly", "--cron", "0 3 * * *"], "--version", "--version-name", "v1"),
    (["schedule", "replace"], ["nightly", "--cron", "0 3 * * *"], "--version", "--version-name", "v1"),
]


def note(old: str, new: str) -> str:
    return f"note: option {old} is now {new}; the old name works for one more release.\n"


def command_of(words: list[str]) -> Any:
    command: Any = get_group(app)
    for word in words:
        command = command.get_command(typer.Context(command), word)
    return command


def parsed(words: list[str], *arguments: str) -> dict[str, Any]:
    return dict(command_of(words).make_context(words[-1], list(arguments)).params)


def commands(group: Any, *words: str) -> Iterator[tuple[str, Any]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, *words, name)
        else:
            yield " ".join([*words, name]), command


@pytest.mark.parametrize(("words", "required", "old", "new", "value"), RENAMED)
def test_an_old_name_is_read_as_the_new_one_and_says_so(
    words: list[str], required: list[str], old: str, new: str, value: str, *, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = parsed(words, *required, new, value)
    assert value in str(wanted)
    assert capsys.readouterr() == ("", "")
    assert parsed(words, *required, old, value) == wanted
    assert capsys.readouterr() == ("", note(old, new))
    assert parsed(words, *required, f"{old}={value}") == wanted
    assert capsys.readouterr() == ("", note(old, new))


@pytest.mark.parametrize(("words", "required", "old", "new", "value"), RENAMED)
def test_help_shows_the_new_name_only(words: list[str], required: list[str], old: str, new: str, value: str) -> None:
    del required, value
    shown = subprocess.run([EVERGREEN, *words, "--help"], capture_output=True, text=True, timeout=60, check=True).stdout.split()
    assert new in shown
    assert old not in shown


def test_an_option_that_is_given_twice_by_its_old_name_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed(["drift"], "a.csv", "b.csv", "--ignore", "x", "--exclude", "y", "--ignore=z")["exclude"] == ("x", "y", "z")
    assert capsys.readouterr().err == note("--ignore", "--exclude")


def test_a_value_that_looks_like_an_old_name_stays_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed(["drift"], "a.csv", "b.csv", "--exclude", "--ignore")["exclude"] == ("--ignore",)
    assert parsed(["drift"], "a.csv", "b.csv", "--ignore", "--ignore")["exclude"] == ("--ignore",)
    assert parsed(["drift"], "--json", "--", "a.csv", "--ignore")["current"] == "--ignore"
    assert capsys.readouterr().err == note("--ignore", "--exclude")


def test_standard_output_belongs_to_the_answer(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,rain\n" + "".join(f"{row},{row % 2}\n" for row in range(300)))
    command = [EVERGREEN, "drift", "a.csv", "a.csv", "--detectors", "profile", "--json"]
    old, new = (
        subprocess.run([*command, name, "rain"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True) for name in ("--ignore", "--exclude")
    )
    assert [feature["name"] for feature in json.loads(old.stdout)["features"]] == ["x"]
    assert old.stdout == new.stdout
    assert (old.stderr, new.stderr) == (note("--ignore", "--exclude"), "")


def test_one_thing_has_one_option() -> None:
    found: dict[str, dict[tuple[str, ...], list[str]]] = {}
    for command_name, command in commands(get_group(app)):
        for option in command.params:
            # A positional argument's only name is that of its parameter.
            if option.opts != [option.name]:
                found.setdefault(option.name, {}).setdefault(tuple(option.opts), []).append(command_name)
    assert {name: options for name, options in found.items() if len(options) > 1} == {}
    assert {"--target-column", "--exclude", "--timestamp-column"} <= {options[0] for each in found.values() for options in each}
