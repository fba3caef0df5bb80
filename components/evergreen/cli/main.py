"""The command line, ``evergreen``. Rooms add their own commands from their ``commands.py``."""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from evergreen.data.json_values import plain
from evergreen.errors import EvergreenError
from evergreen.secrets.files import load_secrets
from evergreen.secrets.masked_streams import masked_output
from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Digests, FailOn, Home, ImageRegistry, PipelineFile, PlatformFile
from evergreen.version import __version__

if TYPE_CHECKING:
    from evergreen.pipeline.local_run import LocalRun
    from evergreen.reporting.summary import RunSummary

ROOMS_WITH_COMMANDS = {
    "registry": ("history", "lineage", "audit"),
    "deployment": ("rollback", "approve", "retire", "pull", "copy"),
    "validation": ("validate", "contract"),
    "ingestion": ("windows",),
    "drift": ("drift",),
    "training": ("reproduce",),
    "backtest": ("backtest",),
    "submission": ("submit", "schedule"),
}
ROOM_OF_COMMAND = {command: room for room, commands in ROOMS_WITH_COMMANDS.items() for command in commands}

NEW_OBJECTS = 50_000
"""Number of new objects that triggers garbage collection; Python's default of 700 is a fraction of what importing one library creates."""


class CommandsOfRooms(TyperGroup):
    """The commands of this module and those of the rooms, whose modules are imported only when one of their commands is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return [*super().list_commands(ctx), *ROOM_OF_COMMAND]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or None if there is none."""
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        if cmd_name not in ROOM_OF_COMMAND:
            # Only loaded commands are suggested for a misspelt one.
            self.commands.update({name: self.get_command(ctx, name) for name in ROOM_OF_COMMAND})
            return None
        commands = typer.Typer()
        import_module(f"evergreen.{ROOM_OF_COMMAND[cmd_name]}.commands").register(commands)
        return get_group(commands).get_command(ctx, cmd_name)


app = typer.Typer(
    name="evergreen", cls=CommandsOfRooms, help="Keep a deployed model fresh.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.command()
def run(
    pipeline_file: PipelineFile,
    *,
    parameter_file: Annotated[Path | None, typer.Option("--params", help="YAML file with pipeline parameters.", metavar="FILE.yaml")] = None,
    assignments: Annotated[list[str] | None, typer.Option("-p", help="Pipeline parameter. Overrides the parameter file.", metavar="NAME=VALUE")] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
    isolated: Annotated[bool, typer.Option("--isolated", help="Start a fresh Python interpreter for every step, which takes longer.")] = False,
    fail_on: FailOn = None,
) -> None:
    """Run a pipeline on this machine and print its decision.

    Exit status: 0 if the run succeeded, 1 if it failed, 2 for invalid input, 3 if it succeeded with a finding named by --fail-on.
    """
    from rich.console import Console

    from evergreen.cli.display import LiveSteps, print_summary
    from evergreen.pipeline.loading import arguments_for, load_pipeline, parse_assignments, read_parameter_file
    from evergreen.pipeline.local_run import run_locally
    from evergreen.pipeline.local_steps import StepProcesses
    from evergreen.pipeline.preloads import first_needs
    from evergreen.pipeline.warm_steps import StepServer
    from evergreen.reporting.fail_on import FAIL_ON_STATUS, check_findings, reached
    from evergreen.reporting.summary import summarise_run
    from evergreen.runs.local_home import LocalHome

    check_findings(fail_on or [])
    # With --json, standard output is reserved for the JSON line. Keep a reference, because the runner redirects sys.stdout.
    console = Console(file=sys.stderr if as_json else sys.stdout, soft_wrap=False)
    with StepServer() as server:
        if not isolated:
            # While the pipeline is loaded here, libraries are loaded there.
            server.preload(first_needs(pipeline_file))
        pipeline = load_pipeline(pipeline_file)
        given: dict[str, Any] = {**(read_parameter_file(parameter_file) if parameter_file else {}), **parse_assignments(assignments or [])}
        arguments = arguments_for(pipeline, given)
        with LiveSteps(console) as steps:
            finished = run_locally(pipeline, arguments, LocalHome(home), steps.show, make_launch=StepProcesses if isolated else None, server=server)
    summary = summarise_run(finished.records, run_id=finished.run_id, model_name=str(arguments.get("model_name", "none")), failure=finished.failure)
    print_summary(console, summary, finished)
    if as_json:
        typer.echo(json.dumps(plain(run_as_json(summary, finished)), ensure_ascii=False))
    if summary.status != "succeeded":
        raise typer.Exit(1)
    if reached(summary, fail_on or []):
        raise typer.Exit(FAIL_ON_STATUS)


def run_as_json(summary: RunSummary, finished: LocalRun) -> dict[str, Any]:
    """Return the output of `evergreen run --json`."""
    return {**summary.to_json(), "duration_s": finished.duration_s, "log": str(finished.log_file)}


@app.command("compile")
def compile_command(
    pipeline_file: PipelineFile,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="YAML file to write. Defaults to the pipeline file's name with the suffix .yaml.")
    ] = None,
    image_registry: ImageRegistry = None,
    digests: Digests = None,
    platform_file: PlatformFile = None,
    as_objects: Annotated[bool, typer.Option("--objects", help="Write the Kubernetes objects Pipeline and PipelineVersion, for kubectl and GitOps.")] = False,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Namespace of the objects.")] = None,
) -> None:
    """Compile a pipeline to YAML for Kubeflow, and print how many pods a run needs."""
    from evergreen.pipeline.compilation import KubernetesObjects, compile_pipeline

    target = output or pipeline_file.with_suffix(".yaml")
    objects = KubernetesObjects(namespace) if as_objects else None
    cost = compile_pipeline(pipeline_file, target, image_registry=image_registry, digests=digests, platform_file=platform_file, objects=objects)
    typer.echo(f"Wrote {target}: {cost}")


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _run_masked() -> None:
    try:
        # In a pod, commands load the secret as steps do; everywhere, EVERGREEN_AWS_* are copied to the names that AWS libraries expect.
        load_secrets()
        app()
    except EvergreenError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def main() -> None:
    """Run the command line; a user error is reported in one line on standard error with exit status 2."""
    # Modules are never garbage, yet by default they are scanned for it dozens of times during imports.
    gc.set_threshold(NEW_OBJECTS)
    try:
        with masked_output():
            _run_masked()
    finally:
        # Otherwise the interpreter would pointlessly search all objects for cycles at exit.
        gc.freeze()
