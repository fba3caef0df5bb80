"""``evergreen schedule``: recurring runs by name, explained before they are created."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from evergreen.settings.command_options import AsJson
from evergreen.settings.renamed_options import renamed_options
from evergreen.submission.errors import SubmissionError
from evergreen.submission.options import Assignments, Experiment, Host, Namespace, ParameterFile, ServiceAccount, given_parameters, to_console
from evergreen.submission.schedule_request import checked_cron, wanted_schedule, warn_of_old_server

Name = Annotated[str, typer.Argument(help="Name of the schedule.", metavar="NAME")]
CronText = Annotated[str, typer.Option("--cron", help="Cron expression in UTC with five fields, or six with seconds first.", metavar="'0 3 * * *'")]
PipelineName = Annotated[str, typer.Option("--pipeline", help="Name of the pipeline in KFP.")]
TrackOption = Annotated[
    str,
    typer.Option(
        "--track",
        help="latest: each run uses the newest version (before KFP 2.17.0, without owner or concurrency limit). pinned: a fixed version.",
        metavar="latest|pinned",
    ),
]
VersionName = Annotated[str, typer.Option("--version-name", help="The version to pin. Defaults to the newest.")]
CatchUp = Annotated[bool, typer.Option("--catch-up/--no-catch-up", help="Run every missed slot instead of only the last one. Requires --track pinned.")]
MaxConcurrency = Annotated[int, typer.Option("--max-concurrency", help="Maximum number of concurrent runs.", min=1, max=10)]

RENAMED = {"--version": "--version-name"}

commands = typer.Typer(help="Run a pipeline on Kubeflow on a schedule.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add ``schedule`` to the command line."""
    app.add_typer(commands, name="schedule")


@commands.command(cls=renamed_options(RENAMED))
def create(
    name: Name,
    *,
    cron: CronText,
    pipeline: PipelineName = "continuous-retraining",
    track: TrackOption = "latest",
    version_name: VersionName = "latest",
    parameter_file: ParameterFile = None,
    assignments: Assignments = None,
    experiment: Experiment = None,
    catch_up: CatchUp = False,
    max_concurrency: MaxConcurrency = 1,
    service_account: ServiceAccount = None,
    host: Host = None,
    namespace: Namespace = None,
    paused: Annotated[bool, typer.Option("--paused", help="Create the schedule in the paused state.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create a schedule. By default there is no catch-up and one run at a time.

    Before KFP 2.17.0, runs of a schedule that tracks the latest version have no owner and no concurrency limit.
    """
    from evergreen.submission.connection import connect
    from evergreen.submission.display import print_firing, print_window_end
    from evergreen.submission.schedules import create_schedule

    given = given_parameters(parameter_file, assignments)
    checked = checked_cron(name, cron, given, track=track, version=version_name, catch_up=catch_up)
    connection = connect(host, namespace)
    wanted = wanted_schedule(
        connection,
        checked,
        pipeline=pipeline,
        track=track,
        version=version_name,
        given=given,
        experiment=experiment,
        service_account=service_account,
        catch_up=catch_up,
        max_concurrency=max_concurrency,
    )
    console = to_console(as_json=as_json)
    warn_of_old_server(connection, console, track)
    schedule = create_schedule(connection, name, wanted, enabled=not paused)
    console.print(f"Schedule {name}{' (paused)' if paused else ''}: {connection.schedule_url(schedule.schedule_id)}", highlight=False, soft_wrap=True)
    print_firing(console, checked)
    print_window_end(console, wanted)
    if as_json:
        typer.echo(json.dumps(schedule.as_json(), ensure_ascii=False))


@commands.command(cls=renamed_options(RENAMED))
def replace(
    name: Name,
    *,
    cron: CronText,
    pipeline: PipelineName = "continuous-retraining",
    track: TrackOption = "latest",
    version_name: VersionName = "latest",
    parameter_file: ParameterFile = None,
    assignments: Assignments = None,
    experiment: Experiment = None,
    catch_up: CatchUp = False,
    max_concurrency: MaxConcurrency = 1,
    service_account: ServiceAccount = None,
    host: Host = None,
    namespace: Namespace = None,
    or_create: Annotated[bool, typer.Option("--or-create", help="Create the schedule if it does not exist, for GitOps.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what would change and replace the schedule. The old one is deleted once none of its runs is active."""
    from evergreen.submission.connection import connect
    from evergreen.submission.display import print_firing
    from evergreen.submission.schedules import difference, replace_schedule, require_schedule, schedules

    given = given_parameters(parameter_file, assignments)
    checked = checked_cron(name, cron, given, track=track, version=version_name, catch_up=catch_up)
    connection = connect(host, namespace)
    console = to_console(as_json=as_json)
    wanted = wanted_schedule(
        connection,
        checked,
        pipeline=pipeline,
        track=track,
        version=version_name,
        given=given,
        experiment=experiment,
        service_account=service_account,
        catch_up=catch_up,
        max_concurrency=max_concurrency,
    )
    warn_of_old_server(connection, console, track)
    if not (or_create and not schedules(connection, name)):
        changes = difference(require_schedule(connection, name).wanted, wanted)
        for line in changes or ["Nothing changes."]:
            console.print(line, highlight=False, markup=False, soft_wrap=True, style={"-": "red", "+": "green"}.get(line[0]))
        if changes and not yes:
            _confirm(name)
    replaced = replace_schedule(connection, name, wanted, tell=lambda notice: console.print(notice, highlight=False, markup=False, soft_wrap=True))
    print_firing(console, checked)
    for schedule_id in replaced.waiting:
        console.print(
            f"The replaced schedule {schedule_id} is paused because runs are still active. Rerun this command when they finish to delete it.",
            highlight=False,
            soft_wrap=True,
        )
    if as_json:
        result = {**replaced.schedule.as_json(), "deleted": replaced.deleted, "waiting": replaced.waiting}
        typer.echo(json.dumps(result, ensure_ascii=False))


@commands.command("list")
def list_schedules(*, host: Host = None, namespace: Namespace = None, as_json: AsJson = False) -> None:
    """List schedules: when they fire, in words, and when they fire next."""
    from evergreen.submission.connection import connect
    from evergreen.submission.display import print_schedules
    from evergreen.submission.schedules import schedules

    connection = connect(host, namespace)
    found = schedules(connection)
    if as_json:
        typer.echo(json.dumps([schedule.as_json() for schedule in found], ensure_ascii=False))
    elif found:
        print_schedules(to_console(as_json=False), found)
    else:
        typer.echo(f"Kubeflow Pipelines at {connection.host} has no schedules.")


@commands.command()
def pause(name: Name, *, host: Host = None, namespace: Namespace = None) -> None:
    """Pause a schedule. Active runs continue."""
    _switch(name, host, namespace, enabled=False)


@commands.command()
def resume(name: Name, *, host: Host = None, namespace: Namespace = None) -> None:
    """Resume a paused schedule."""
    _switch(name, host, namespace, enabled=True)


@commands.command()
def delete(
    name: Name,
    *,
    host: Host = None,
    namespace: Namespace = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
) -> None:
    """Delete a schedule if none of its runs is active. Exit status: 1 if it is only paused because runs are still active."""
    from evergreen.submission.connection import connect
    from evergreen.submission.schedules import remove_when_idle, require_schedule, schedules

    connection = connect(host, namespace)
    require_schedule(connection, name)
    if not yes:
        _confirm(name)
    waiting = [schedule for schedule in schedules(connection, name) if not remove_when_idle(connection, schedule)]
    if waiting:
        typer.echo(f"Schedule {name} is paused because runs are still active. Rerun this command when they finish.")
        raise typer.Exit(1)
    typer.echo(f"Deleted schedule {name}.")


def _switch(name: str, host: str | None, namespace: str | None, *, enabled: bool) -> None:
    from evergreen.submission.connection import connect
    from evergreen.submission.missed_slots import firing_on_resume
    from evergreen.submission.schedules import require_schedule, set_enabled

    connection = connect(host, namespace)
    schedule = require_schedule(connection, name)
    notice = firing_on_resume(connection, schedule) if enabled else None
    if notice:
        typer.echo(notice)
    set_enabled(connection, schedule, enabled=enabled)
    schedule = require_schedule(connection, name)
    typer.echo(f"Schedule {name} fires next at {schedule.next_time()}." if enabled else f"Schedule {name} is paused.")


def _confirm(name: str) -> None:
    """Ask the user at the terminal for confirmation.

    Raises:
        SubmissionError: There is no interactive terminal.
    """
    if not sys.stdin.isatty():
        raise SubmissionError(f"schedule {name!r}: cannot ask for confirmation without a terminal. Pass --yes.")
    typer.confirm("Continue?", abort=True)
