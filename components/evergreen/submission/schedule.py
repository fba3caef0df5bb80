"""A schedule: KFP's recurring run, with everything that it was made with."""

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
    """What a schedule is to be: everything that a person sees in its diff.

    Attributes:
        cron: Six fields, seconds first.
        catch_up: Run every time that was missed while the schedule was paused or the cluster down.
        max_concurrency: Runs at the same time.
        pipeline_id: The pipeline.
        track: ``latest`` for the version that was uploaded last at each start, ``pinned`` for one version.
        version_id: The pinned version; nothing for ``latest``.
        experiment_id: Where its runs are listed.
        parameters: Of each run.
        service_account: Kubernetes service account of its pods; nothing for KFP's own.
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
        schedule_id: KFP's id of the recurring run.
        name: Its name.
        enabled: It fires.
        wanted: What it was made with.
        created_at: ISO time; empty when the server does not tell it.
        made_at: The same as a time.
    """

    schedule_id: str
    name: str
    enabled: bool
    wanted: ScheduleSettings
    created_at: str
    made_at: datetime | None = None

    def next_time(self) -> str:
        """Return when it fires next, ISO, or why it does not."""
        if not self.enabled:
            return "paused"
        try:
            return parse_cron(self.wanted.cron).next_times(1)[0].strftime("%Y-%m-%dT%H:%M:%SZ")
        except SubmissionError:
            return "unknown"

    def as_json(self) -> dict[str, Any]:
        """Return everything about it for a program."""
        return {"schedule_id": self.schedule_id, "name": self.name, "enabled": self.enabled, "next": self.next_time(), **asdict(self.wanted)}
