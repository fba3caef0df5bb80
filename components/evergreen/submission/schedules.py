"""Schedules: KFP recurring runs found by name and set up so that runs neither pile up nor replay missed slots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from evergreen.submission.connection import REQUEST_TIMEOUT_S
from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError
from evergreen.submission.missed_slots import firing_on_resume
from evergreen.submission.runs import runs_under_way
from evergreen.submission.schedule import Schedule, ScheduleSettings
from evergreen.submission.server_pipelines import equals, in_namespace, pages
from evergreen.submission.times import known_time

if TYPE_CHECKING:
    from evergreen.submission.connection import Connection


def schedules(connection: Connection, name: str | None = None) -> list[Schedule]:
    """Return the schedules with a name, or all of them, newest first."""
    wanted = {"filter": equals("display_name", name)} if name else {}
    with connection.speaking("listing schedules"):
        found = list(pages(connection.recurring_runs.recurring_run_service_list_recurring_runs, "recurring_runs", **wanted, **in_namespace(connection)))
    # Some servers compare names case-insensitively.
    read = [_read(recurring) for recurring in found if name is None or recurring.display_name == name]
    return sorted(read, key=lambda schedule: (schedule.made_at is not None, schedule.made_at, schedule.schedule_id), reverse=True)


def require_schedule(connection: Connection, name: str) -> Schedule:
    """Return the schedule with a name; if a replacement left several behind, the newest.

    Raises:
        SubmissionError: There is no schedule with this name.
    """
    found = schedules(connection, name)
    if not found:
        others = ", ".join(sorted({schedule.name for schedule in schedules(connection)})) or "none"
        raise SubmissionError(f"Unknown schedule {name!r}. Schedules in Kubeflow Pipelines at {connection.host}: {others}.")
    return found[0]


def create_schedule(connection: Connection, name: str, wanted: ScheduleSettings, *, enabled: bool = True) -> Schedule:
    """Create a schedule.

    Raises:
        SubmissionError: A schedule with this name already exists.
    """
    if schedules(connection, name):
        raise SubmissionError(f"Schedule {name!r} already exists. Change it with: evergreen schedule replace {name}")
    return _make(connection, name, wanted, enabled=enabled)


def set_enabled(connection: Connection, schedule: Schedule, *, enabled: bool) -> None:
    """Pause or resume a schedule."""
    service = connection.recurring_runs
    change = service.recurring_run_service_enable_recurring_run if enabled else service.recurring_run_service_disable_recurring_run
    with connection.speaking(f"{'resuming' if enabled else 'pausing'} schedule {schedule.name!r}"):
        change(recurring_run_id=schedule.schedule_id, _request_timeout=REQUEST_TIMEOUT_S)


@dataclass(frozen=True)
class Replacement:
    """The result of replacing a schedule.

    Attributes:
        schedule: The schedule now in effect.
        deleted: IDs of older schedules that were deleted.
        waiting: IDs of older schedules that are paused until their runs have ended.
    """

    schedule: Schedule
    deleted: list[str]
    waiting: list[str]


def replace_schedule(connection: Connection, name: str, wanted: ScheduleSettings, *, tell: Callable[[str], None] = lambda _notice: None) -> Replacement:
    """Replace the schedule with the same name by a new one, because KFP cannot edit schedules.

    The new schedule is created first; then the old one is paused, and deleted if none of its runs is active. If the process is killed in between,
    both fire for a while, which costs an extra run (a promotion is a compare-and-set). The reverse order could leave no schedule at all, which might
    go unnoticed. Running the command again completes the replacement.

    Args:
        connection: The connection to the server.
        name: Name of the schedule.
        wanted: The new settings.
        tell: Called with a notice before resuming an older schedule that immediately runs a missed slot.
    """
    found = schedules(connection, name)
    same = next((schedule for schedule in found if not difference(schedule.wanted, wanted)), None)
    enabled = not found or any(schedule.enabled for schedule in found)
    schedule = same or _make(connection, name, wanted, enabled=enabled)
    if same and enabled and not same.enabled and len(found) > 1:
        notice = firing_on_resume(connection, same)
        if notice:
            tell(notice)
        set_enabled(connection, same, enabled=True)
    deleted: list[str] = []
    waiting: list[str] = []
    for old in found:
        if old.schedule_id != schedule.schedule_id:
            (deleted if remove_when_idle(connection, old) else waiting).append(old.schedule_id)
    return Replacement(schedule=schedule, deleted=deleted, waiting=waiting)


def remove_when_idle(connection: Connection, schedule: Schedule) -> bool:
    """Pause a schedule, and delete it if none of its runs is active.

    Returns:
        Whether it was deleted.
    """
    if schedule.enabled:
        set_enabled(connection, schedule, enabled=False)
    if runs_under_way(connection, schedule.schedule_id):
        return False
    with connection.speaking(f"deleting schedule {schedule.name!r}"):
        connection.recurring_runs.recurring_run_service_delete_recurring_run(recurring_run_id=schedule.schedule_id, _request_timeout=REQUEST_TIMEOUT_S)
    return True


def _make(connection: Connection, name: str, wanted: ScheduleSettings, *, enabled: bool) -> Schedule:
    import kfp_server_api as api

    recurring = api.V2beta1RecurringRun(
        display_name=name,
        experiment_id=wanted.experiment_id,
        pipeline_version_reference=api.V2beta1PipelineVersionReference(pipeline_id=wanted.pipeline_id, pipeline_version_id=wanted.version_id),
        runtime_config=api.V2beta1RuntimeConfig(parameters=dict(wanted.parameters)),
        service_account=wanted.service_account,
        max_concurrency=str(wanted.max_concurrency),
        trigger=api.V2beta1Trigger(cron_schedule=api.V2beta1CronSchedule(cron=wanted.cron)),
        mode=api.RecurringRunMode.ENABLE if enabled else api.RecurringRunMode.DISABLE,
        no_catchup=not wanted.catch_up,
    )
    with connection.speaking(f"creating schedule {name!r}"):
        return _read(connection.recurring_runs.recurring_run_service_create_recurring_run(recurring_run=recurring, _request_timeout=REQUEST_TIMEOUT_S))


def _read(recurring: Any) -> Schedule:
    made_at = known_time(recurring.created_at)
    reference = recurring.pipeline_version_reference
    version = (reference.pipeline_version_id or None) if reference else None
    cron = recurring.trigger.cron_schedule.cron if recurring.trigger and recurring.trigger.cron_schedule else "none"
    return Schedule(
        schedule_id=str(recurring.recurring_run_id),
        name=str(recurring.display_name),
        enabled=recurring.status == "ENABLED",
        wanted=ScheduleSettings(
            cron=str(cron),
            pipeline_id=str(reference.pipeline_id if reference else "none"),
            experiment_id=str(recurring.experiment_id),
            track="pinned" if version else "latest",
            version_id=version,
            catch_up=not recurring.no_catchup,
            max_concurrency=int(recurring.max_concurrency or 1),
            parameters=dict((recurring.runtime_config.parameters if recurring.runtime_config else None) or {}),
            service_account=recurring.service_account or None,
        ),
        created_at=made_at.isoformat() if made_at else "",
        made_at=made_at,
    )


def difference(old: ScheduleSettings, new: ScheduleSettings) -> list[str]:
    """Return the changes as diff lines: ``-`` for the old value, ``+`` for the new one."""
    # If no service account was requested, the server reports the default it chose.
    before, after = _flat(old), _flat(new if new.service_account else replace(new, service_account=old.service_account))
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            lines.extend(f"{sign} {name}: {values[name]}" for sign, values in (("-", before), ("+", after)) if name in values)
    return lines


def _flat(wanted: ScheduleSettings) -> dict[str, Any]:
    fields = asdict(wanted)
    parameters = fields.pop("parameters")
    fields["cron"] = f"{wanted.cron} ({_words(wanted.cron)})"
    return {**fields, **{f"parameters.{name}": value for name, value in parameters.items()}}


def _words(cron: str) -> str:
    try:
        return parse_cron(cron).in_words()
    except SubmissionError:
        return "not a cron expression"
