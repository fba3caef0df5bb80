"""Append-only history of the windows that a model has seen, below the ledger URI.

The newest window end is the model's watermark. A record is created only if absent, and its name contains the window's end and
the content's fingerprint, so rerunning a step adds nothing, and a run that finds different rows adds a new record.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain, to_json
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import iso_event_time, parse_iso_time
from evergreen.ingestion.window import MICROSECONDS_PER_DAY, Window
from evergreen.registry.ledger import folder_name
from evergreen.secrets.redaction import mask_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.data.artifacts import DataManifest
    from evergreen.storage.base import ObjectStore

EARLIER_WINDOWS = 10
"""Number of earlier windows that determine the usual number of rows."""


@dataclass(frozen=True)
class WindowRecord:
    """The record of an ingested window.

    Attributes:
        manifest: Origin of its rows; see :class:`evergreen.data.artifacts.DataManifest`.
        run_id: ID of the run that ingested it.
    """

    manifest: dict[str, Any]
    run_id: str

    @property
    def window(self) -> Window:
        """The window."""
        start, end = (parse_iso_time(str(self.manifest["window"][side])) for side in ("start", "end"))
        if start is None or end is None:
            raise IngestionError(f"window record of run {self.run_id!r}: contains no window. It was not written by Evergreen. Remove it.")
        return Window(start, end)

    @property
    def rows(self) -> int:
        """Number of rows in the window at the time of ingestion."""
        return int(self.manifest["rows"])


class WindowHistory:
    """The windows that one step ingested for one model."""

    def __init__(self, store: ObjectStore, model_name: str, step_name: str) -> None:
        """Set the location of the records.

        Args:
            store: The ledger's store.
            model_name: Name of the registered model; any text.
            step_name: Name of the ingesting step, because training windows are separate from monitored windows.
        """
        self._store, self._folder = store, f"windows/{folder_name(model_name)}/{step_name}"

    def records(self) -> list[WindowRecord]:
        """Return all records, oldest window first and, for the same window, oldest content first.

        Raises:
            IngestionError: A record cannot be read.
        """
        found = [self._record(name) for name in self._store.names(f"{self._folder}/")]
        return sorted(found, key=lambda record: (record.window.end, record.manifest["created"]))

    def _record(self, name: str) -> WindowRecord:
        try:
            return WindowRecord(**json.loads(self._store.read(name) or b""))
        except (ValueError, TypeError) as error:
            raise IngestionError(f"window record {self._store.uri}/{name}: cannot be read: {error}. Restore or remove it.") from error

    def add(self, manifest: DataManifest, *, run_id: str) -> bool:
        """Add a window, and return whether it was new."""
        end = "".join(mark for mark in manifest.window["end"] if mark.isalnum())
        content = to_json(mask_json(plain(asdict(WindowRecord(manifest=asdict(manifest), run_id=run_id)))))
        return self._store.create(f"{self._folder}/{end}-{manifest.fingerprint}.json", content)


def newest_until(records: Sequence[WindowRecord], end: int | None) -> WindowRecord | None:
    """Return the newest record whose window does not end after ``end``, or the newest of all records if ``end`` is None."""
    fitting = [record for record in records if end is None or record.window.end <= end]
    return fitting[-1] if fitting else None


def compare_windows(window: Window, records: Sequence[WindowRecord], *, counted: WindowRecord | None, rows_counted: int) -> dict[str, Any]:
    """Compare a window with earlier windows.

    Args:
        window: The ingested window.
        records: Earlier records.
        counted: The record whose window was counted again in the source.
        rows_counted: The current number of rows in that window.

    Returns:
        ``watermark_before``: end of the newest earlier window; ``gap``: the unread time between the windows, with ``start``,
        ``end`` and ``days``; ``overlap_days``; ``late_rows``: rows of the counted window that arrived after it was ingested;
        ``rows_gone``: rows that have since disappeared from it.
    """
    earlier = [record for record in records if record.window.end < window.end]
    details: dict[str, Any] = {"watermark_before": None, "gap": None, "overlap_days": 0.0, "late_rows": 0, "rows_gone": 0}
    if counted is not None:
        details |= {"late_rows": max(rows_counted - counted.rows, 0), "rows_gone": max(counted.rows - rows_counted, 0)}
    if earlier:
        end = earlier[-1].window.end
        details["watermark_before"] = iso_event_time(end)
        if window.start > end:
            details["gap"] = {"start": iso_event_time(end), "end": iso_event_time(window.start), "days": (window.start - end) / MICROSECONDS_PER_DAY}
        details["overlap_days"] = max(end - window.start, 0) / MICROSECONDS_PER_DAY
    return details


def earlier_rows(window: Window, records: Sequence[WindowRecord]) -> list[int]:
    """Return the row counts of the newest earlier windows of the same length; for a window ingested twice, the last count."""
    length = window.end - window.start
    by_end = {record.window.end: record.rows for record in records if record.window.end < window.end and record.window.end - record.window.start == length}
    return list(by_end.values())[-EARLIER_WINDOWS:]
