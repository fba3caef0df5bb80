"""Options that the commands for Kubeflow Pipelines share."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

Assignments = Annotated[list[str] | None, typer.Option("-p", help="A parameter; wins over the file.", metavar="NAME=VALUE")]
Experiment = Annotated[
    str | None, typer.Option("--experiment", help="Where the KFP UI lists the runs; made when there is none. The model's name when not given.")
]
Host = Annotated[str | None, typer.Option("--host", help="Address of KFP's API; EVERGREEN_KFP_HOST, or the cluster around, when not given.")]
Namespace = Annotated[str | None, typer.Option("--namespace", help="Your profile's namespace, in multi-user mode.")]
ParameterFile = Annotated[Path | None, typer.Option("--params", help="YAML file with parameters.", metavar="FILE.yaml")]
ServiceAccount = Annotated[str | None, typer.Option("--service-account", help="Kubernetes service account of the pods.")]


def given_parameters(parameter_file: Path | None, assignments: list[str] | None) -> dict[str, Any]:
    """Return the parameters of file and command line; the command line wins."""
    from evergreen.pipeline.loading import parse_assignments, read_parameter_file

    return {**(read_parameter_file(parameter_file) if parameter_file else {}), **parse_assignments(assignments or [])}


def to_console(*, as_json: bool) -> Console:
    """Return where people read: standard output belongs to the JSON line, when there is one."""
    from rich.console import Console

    return Console(file=sys.stderr if as_json else sys.stdout, soft_wrap=False)
