"""Options shared by the Kubeflow Pipelines commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Assignments = Annotated[list[str] | None, typer.Option("-p", help="A parameter. Overrides the file. Repeatable.", metavar="NAME=VALUE")]
Experiment = Annotated[
    str | None, typer.Option("--experiment", help="Experiment that lists the runs in the KFP UI; created if missing. Defaults to the model's name.")
]
Host = Annotated[str | None, typer.Option("--host", help="Address of the KFP API. Defaults to $EVERGREEN_KFP_HOST, then the in-cluster service.")]
Namespace = Annotated[str | None, typer.Option("--namespace", help="Your profile's namespace, in multi-user mode.")]
ParameterFile = Annotated[Path | None, typer.Option("--params", help="YAML file with parameters.", metavar="FILE.yaml")]
ServiceAccount = Annotated[str | None, typer.Option("--service-account", help="Kubernetes service account of the pods.")]


def given_parameters(parameter_file: Path | None, assignments: list[str] | None) -> dict[str, Any]:
    """Return the parameters from the file and the command line; the command line takes precedence."""
    from evergreen.pipeline.loading import parse_assignments, read_parameter_file

    return {**(read_parameter_file(parameter_file) if parameter_file else {}), **parse_assignments(assignments or [])}


def to_console(*, as_json: bool) -> Console:
    """Return the console for messages: standard error if standard output is reserved for the JSON line."""
    from rich.console import Console

    return Console(file=sys.stderr if as_json else sys.stdout, soft_wrap=False)
