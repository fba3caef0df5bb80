"""Whether a command that is not run could be: its options, targets, extras and files have to exist."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
import typer.main
import yaml

from docs.pages import ROOT, Block, programs
from evergreen.cli.main import app

OTHER_PROGRAMS = {"chromium", "cut", "curl", "date", "docker", "echo", "export", "git", "kustomize", "mkdir", "openssl", "printf", "source"}
OWN_FOLDERS = ("components/", "demo/", "docs/", "manifests/", "pipelines/", "scripts/", "tests/")


def check_command(command: str) -> None:
    """Fail when a command names what does not exist."""
    for program, *arguments in programs(command):
        for argument in arguments:
            assert not argument.startswith(OWN_FOLDERS) or (ROOT / argument).exists(), f"{command}: there is no {argument}"
        if program in CHECKS:
            CHECKS[program](arguments)
        else:
            assert program in OTHER_PROGRAMS, f"{command}: nobody knows how to check {program!r}"


def _check_evergreen(arguments: list[str]) -> None:
    command: Any = typer.main.get_group(app)
    context = typer.Context(command)
    rest = arguments
    while hasattr(command, "list_commands"):
        name, *rest = rest
        found = command.get_command(context, name)
        assert found is not None, f"evergreen has no command {name!r}"
        command = found
    # Parses options and arguments as a shell would have given them; the command itself is not called.
    try:
        command.make_context("evergreen", rest)
    except Exception as error:
        raise AssertionError(f"evergreen {' '.join(arguments)}: {error}") from error


def _check_make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        known = re.search(rf"\$\({name}\)", makefile) if equals else re.search(rf"^{name}:", makefile, re.MULTILINE)
        assert known, f"make knows no {name!r}"


def _check_pip(arguments: list[str]) -> None:
    assert arguments[0] == "install"
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"kfp-evergreen\[(.+)\]", " ".join(arguments)):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), f"there is no extra {extra!r}"


def _check_uvicorn(arguments: list[str]) -> None:
    module, _, name = next(argument for argument in arguments if ":" in argument).partition(":")
    assert callable(getattr(import_module(module), name, None)), f"{module} has no {name}"


def _check_kubectl(arguments: list[str]) -> None:
    assert re.fullmatch(r"apply|create|describe|get|label|logs|-n", arguments[0])


def _check_python(arguments: list[str]) -> None:
    assert (ROOT / arguments[0]).is_file(), arguments


CHECKS = {
    "evergreen": _check_evergreen,
    "kubectl": _check_kubectl,
    "make": _check_make,
    "pip": _check_pip,
    "python": _check_python,
    "uvicorn": _check_uvicorn,
}


def read_yaml(block: Block, folder: Path) -> None:
    """Read a block as what it is meant for; the reader's own error fails the test."""
    kind, _, pipeline = block.read_as.partition(" of ")
    if kind == "parameters":
        _read_parameters(block.text, pipeline or "continuous_retraining")
    else:
        READERS[kind](block.text, folder)


def _read_parameters(text: str, pipeline: str) -> None:
    from evergreen.pipeline.loading import arguments_for

    assert arguments_for(_loaded(pipeline), yaml.safe_load(text))


@cache
def _loaded(pipeline: str) -> Any:
    from evergreen.pipeline.loading import load_pipeline

    return load_pipeline(ROOT / "pipelines" / f"{pipeline}.py")


def _read_policy(text: str, _: Path) -> None:
    from evergreen.policy.policy_file import Policy, read_policy

    assert read_policy(text) != Policy()


def _read_contract(text: str, _: Path) -> None:
    from evergreen.validation.contract import Contract

    assert Contract.from_yaml(text).columns


def _read_drift(text: str, _: Path) -> None:
    from evergreen.drift.errors import DriftError
    from evergreen.drift.settings import DriftSettings
    from evergreen.settings.reading import read_settings

    assert read_settings(text, DriftSettings, parameter="drift_config", error=DriftError) != DriftSettings()


def _read_search(text: str, _: Path) -> None:
    from evergreen.training.search.settings import parse_search

    assert parse_search(text)["space"]


def _read_trigger(text: str, folder: Path) -> None:
    import pytest

    from evergreen.trigger.settings import read_settings

    (folder / "read_trigger.yaml").write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_TRIGGER_WEBHOOK_SECRET", "0123456789abcdef0123456789abcdef")
        assert read_settings(folder / "read_trigger.yaml").pipeline


def _read_any(text: str, _: Path) -> None:
    assert yaml.safe_load(text)


READERS = {
    "contract": _read_contract,
    "drift": _read_drift,
    "policy": _read_policy,
    "search": _read_search,
    "trigger": _read_trigger,
    "yaml": _read_any,
}
