"""Checks of a requested schedule: first those that need no server, then against the version it runs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evergreen.submission.errors import SubmissionError

if TYPE_CHECKING:
    from rich.console import Console

    from evergreen.submission.connection import Connection
    from evergreen.submission.schedule import ScheduleSettings


def checked_cron(name: str, cron: str, given: dict[str, Any], *, track: str, version: str, catch_up: bool) -> str:
    """Run the checks that need no server, and return the cron expression with six fields."""
    from evergreen.submission.cron import parse_cron
    from evergreen.submission.parameter_values import check_parameter_values, check_text
    from evergreen.submission.scheduled_window import check_catch_up

    if track not in {"latest", "pinned"}:
        raise SubmissionError(f"Unknown --track {track!r}. Valid values: latest, pinned. Correct the option.")
    if track == "latest" and version != "latest":
        raise SubmissionError(f"--version-name {version!r} names a fixed version, but --track latest uses the newest each time. Pass --track pinned.")
    check_catch_up(track=track, catch_up=catch_up)
    # KFP names the runs after the schedule.
    check_text(f"schedule {name!r}", name)
    check_parameter_values(given, expands_macros=track == "latest")
    return parse_cron(cron).expression


def warn_of_old_server(connection: Connection, console: Console, track: str) -> None:
    """Warn if the server reports a version too old to fully support schedules that track the latest version."""
    version = connection.version() if track == "latest" else ""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < (2, 17):
        console.print(
            f"Kubeflow Pipelines at {connection.host} is version {version}: before 2.17.0, runs of a schedule that tracks the latest version have no owner "
            "and no concurrency limit. Upgrade it, or pass --track pinned.",
            highlight=False,
            markup=False,
            soft_wrap=True,
            style="yellow",
        )


def wanted_schedule(
    connection: Connection,
    cron: str,
    *,
    pipeline: str,
    track: str,
    version: str,
    given: dict[str, Any],
    experiment: str | None,
    service_account: str | None,
    catch_up: bool,
    max_concurrency: int,
) -> ScheduleSettings:
    """Return the requested schedule, with its parameters checked against the version it runs."""
    from evergreen.pipeline.loading import arguments_for
    from evergreen.submission.parameter_values import check_parameter_values
    from evergreen.submission.run_names import effective_parameters, experiment_name
    from evergreen.submission.schedule import ScheduleSettings
    from evergreen.submission.scheduled_window import scheduled_parameters
    from evergreen.submission.server_pipelines import experiment_id, find_version, pipeline_of_version, require_pipeline

    pipeline_id = require_pipeline(connection, pipeline)
    found = find_version(connection, pipeline_id, version)
    version_held = pipeline_of_version(found)
    parameters = scheduled_parameters(version_held, arguments_for(version_held, given), track=track, cron=cron)
    effective = effective_parameters(version_held, parameters)
    check_parameter_values(effective, expands_macros=track == "latest")
    return ScheduleSettings(
        cron=cron,
        pipeline_id=pipeline_id,
        experiment_id=experiment_id(connection, experiment_name(experiment, effective)),
        track="pinned" if track == "pinned" else "latest",
        version_id=str(found.pipeline_version_id) if track == "pinned" else None,
        catch_up=catch_up,
        max_concurrency=max_concurrency,
        parameters=parameters,
        service_account=service_account,
    )
