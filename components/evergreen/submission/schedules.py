"""Schedules: KFP's recurring runs, found by name, made so that they neither pile up nor replay what was missed."""

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
    """Return the schedules of a name, or all of them; the newest first."""
    wanted = {"filter": equals("display_name", name)} if name else {}
    with connection.speaking("listing schedules"):
        found = list(pages(connection.recurring_runs.recurring_run_service_list_recurring_runs, "recurring_runs", **wanted, **in_namespace(connection)))
    # Some servers do not tell capital letters from small ones.
    read = [_read(recurring) for recurring in found if name is None or recurring.display_name == name]
    return sorted(read, key=lambda schedule: (schedule.made_at is not None, schedule.made_at, schedule.schedule_id), reverse=True)


def require_schedule(connection: Connection, name: str) -> Schedule:
    """Return the schedule of a name; of several, which a replacement left behind, the newest.

    Raises:
        SubmissionError: There is none.
    """
    found = schedules(connection, name)
    if not found:
        others = ", ".join(sorted({schedule.name for schedule in schedules(connection)})) or "none"
        raise SubmissionError(f"schedule {name!r}: Kubeflow Pipelines at {connection.host} has no such schedule. It has: {others}.")
    return found[0]


def create_schedule(connection: Connection, name: str, wanted: ScheduleSettings, *, enabled: bool = True) -> Schedule:
    """Make a schedule.

    Raises:
        SubmissionError: There is one of that name already.
    """
    if schedules(connection, name):
        raise SubmissionError(f"schedule {name!r}: there is one already. Change it with: evergreen schedule replace {name}")
    return _make(connection, name, wanted, enabled=enabled)


def set_enabled(connection: Connection, schedule: Schedule, *, enabled: bool) -> None:
    """Pause or resume a schedule."""
    service = connection.recurring_runs
    change = service.recurring_run_service_enable_recurring_run if enabled else service.recurring_run_service_disable_recurring_run
    with connection.speaking(f"{'resuming' if enabled else 'pausing'} schedule {schedule.name!r}"):
        change(recurring_run_id=schedule.schedule_id, _request_timeout=REQUEST_TIMEOUT_S)


@dataclass(frozen=True)
class Replacement:
    """What came of replacing a schedule.

    Attributes:
        schedule: The one that is in force.
        deleted: Ids of older ones that are gone.
        waiting: Ids of older ones that are paused, and stay until their runs have ended.
    """

    schedule: Schedule
    deleted: list[str]
    waiting: list[str]


def replace_schedule(connection: Connection, name: str, wanted: ScheduleSettings, *, tell: Callable[[str], None] = lambda _notice: None) -> Replacement:
    """Put a schedule in the place of the one that has its name; KFP cannot edit one.

    The new one is made first, then the old one is paused, then deleted if none of its runs is under way. Killed in between, two
    fire for a while, which costs a run (a promotion is a compare-and-set); the other order could leave none, which nobody would
    notice. Running it again ends what was begun.

    Args:
        connection: To the server.
        name: The schedule's name.
        wanted: What it is to be.
        tell: Called with a sentence before an older schedule is resumed that makes up for a run at once.
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
    """Pause a schedule, and delete it if none of its runs is under way.

    Returns:
        Whether it is gone.
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
    with connection.speaking(f"making schedule {name!r}"):
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
    """Return the lines of what would change: ``-`` the old value, ``+`` the new one."""
    # Where none was asked for, the server says which of its own service accounts it took.
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
