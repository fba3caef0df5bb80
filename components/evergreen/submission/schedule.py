"""A schedule: a KFP recurring run with all its settings."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

Track = Literal["latest", "pinned"]


@dataclass(frozen=True)
class ScheduleSettings:
    """The settings of a schedule: everything that its diff shows.

    Attributes:
        cron: Cron expression with six fields, seconds first.
        catch_up: Whether to run every slot missed while the schedule was paused or the cluster was down.
        max_concurrency: Maximum number of concurrent runs.
        pipeline_id: ID of the pipeline.
        track: ``latest`` to start the most recently uploaded version each time, ``pinned`` to start one version.
        version_id: ID of the pinned version; None for ``latest``.
        experiment_id: ID of the experiment that lists its runs.
        parameters: Parameters of each run.
        service_account: Kubernetes service account of its pods; None for KFP's default.
    """

    cron: str
    pipeline_id: str
    experiment_id: str
    track: Track = "latest"
    version_id: str | None = None
    catch_up: bool = False
    max_concurrency: int = 1
    parameters: Mapping[str, Any] = field(default_factory=dict)
    service_account: str | None = None


@dataclass(frozen=True)
class Schedule:
    """A schedule on the server.

    Attributes:
        schedule_id: KFP's ID of the recurring run.
        name: Name of the schedule.
        enabled: Whether it fires.
        wanted: The settings it was created with.
        created_at: Creation time, ISO; empty if the server does not report it.
        made_at: The creation time as a datetime.
    """

    schedule_id: str
    name: str
    enabled: bool
    wanted: ScheduleSettings
    created_at: str
    made_at: datetime | None = None

    def next_time(self) -> str:
        """Return when it fires next (ISO), or why it does not."""
        if not self.enabled:
            return "paused"
        try:
            return parse_cron(self.wanted.cron).next_times(1)[0].strftime("%Y-%m-%dT%H:%M:%SZ")
        except SubmissionError:
            return "unknown"

    def as_json(self) -> dict[str, Any]:
        """Return the schedule as JSON-compatible values."""
        return {"schedule_id": self.schedule_id, "name": self.name, "enabled": self.enabled, "next": self.next_time(), **asdict(self.wanted)}
