"""The command line: ``evergreen``. Rooms with commands of their own add them from their ``commands.py``."""

from __future__ import annotations

import gc
import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from evergreen.data.json_values import plain
from evergreen.errors import EvergreenError
from evergreen.secrets.files import load_secrets
from evergreen.secrets.masked_streams import masked_output
from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Digests, Home, ImageRegistry, PipelineFile, PlatformFile
from evergreen.version import __version__

if TYPE_CHECKING:
    from pathlib import Path

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
"""So many objects more than before make the interpreter look for garbage; its own 700 are a fraction of what a library brings."""


class CommandsOfRooms(TyperGroup):
    """The commands of this module, and those of the rooms, whose modules are loaded when one of their commands is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of all commands."""
        return [*super().list_commands(ctx), *ROOM_OF_COMMAND]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by its name, or None when there is none."""
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        if cmd_name not in ROOM_OF_COMMAND:
            # Only a command that is loaded is suggested in place of a misspelt one.
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
    parameter_file: Annotated[Path | None, typer.Option("--params", help="YAML file with parameters.", metavar="FILE.yaml")] = None,
    assignments: Annotated[list[str] | None, typer.Option("-p", help="A parameter; wins over the file.", metavar="NAME=VALUE")] = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Run a pipeline on this machine and say what it decided.

    Exit status: 0 when the run succeeded, 1 when it failed, 2 for bad input.
    """
    from rich.console import Console

    from evergreen.cli.display import LiveSteps, print_summary
    from evergreen.pipeline.loading import arguments_for, load_pipeline, parse_assignments, read_parameter_file
    from evergreen.pipeline.local_run import run_locally
    from evergreen.reporting.summary import summarise_run
    from evergreen.runs.local_home import LocalHome

    pipeline = load_pipeline(pipeline_file)
    given: dict[str, Any] = {**(read_parameter_file(parameter_file) if parameter_file else {}), **parse_assignments(assignments or [])}
    arguments = arguments_for(pipeline, given)
    # Standard output belongs to the JSON line, when there is one. The runner redirects sys.stdout: hold on to it here.
    console = Console(file=sys.stderr if as_json else sys.stdout, soft_wrap=False)
    with LiveSteps(console) as steps:
        finished = run_locally(pipeline, arguments, LocalHome(home), steps.show)
    summary = summarise_run(finished.records, run_id=finished.run_id, model_name=str(arguments.get("model_name", "none")))
    print_summary(console, summary, finished)
    if as_json:
        typer.echo(json.dumps(plain(run_as_json(summary, finished)), ensure_ascii=False))
    if finished.failure or summary.status != "succeeded":
        raise typer.Exit(1)


def run_as_json(summary: RunSummary, finished: LocalRun) -> dict[str, Any]:
    """Return what `evergreen run --json` prints."""
    status = "failed" if finished.failure else summary.status
    return {**summary.to_json(), "status": status, "duration_s": finished.duration_s, "log": str(finished.log_file)}


@app.command("compile")
def compile_command(
    pipeline_file: PipelineFile,
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="YAML to write; beside the pipeline when not given.")] = None,
    image_registry: ImageRegistry = None,
    digests: Digests = None,
    platform_file: PlatformFile = None,
    as_objects: Annotated[bool, typer.Option("--objects", help="Write Kubernetes objects, Pipeline and PipelineVersion, for kubectl and GitOps.")] = False,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Namespace of the objects.")] = None,
) -> None:
    """Compile a pipeline to the YAML that Kubeflow takes, and say how many pods a run of it costs."""
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
        # In a pod commands find the secret as steps do; anywhere, EVERGREEN_AWS_* get the names that AWS's libraries look for.
        load_secrets()
        app()
    except EvergreenError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


def main() -> None:
    """Run the command line; a user's mistake is one line on standard error and exit status 2."""
    # Modules are no garbage, and by default they are looked through for it dozens of times while they load.
    gc.set_threshold(NEW_OBJECTS)
    try:
        with masked_output():
            _run_masked()
    finally:
        # The interpreter would look through all that was ever loaded for cycles on its way out, for nothing.
        gc.freeze()
