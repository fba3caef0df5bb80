"""Step records that are readable outside KFP: one JSON object per step, below the ledger URI.

Outputs cannot leave an exit handler, and an exit task cannot depend on other tasks, so ``record_run``, the command line
and ``evergreen history`` read ``{ledger_uri}/runs/{run_id}/{step_name}.json``. A record is written when the step starts
and again when it ends, so a step that was killed leaves the state ``running``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain, to_json
from evergreen.errors import StateError
from evergreen.secrets.redaction import mask, mask_json
from evergreen.storage.opening import open_store
from evergreen.storage.uris import check_ledger_uri, is_nothing

if TYPE_CHECKING:
    from evergreen.storage.base import ObjectStore

PARTS_OF_STEP = {
    "assess_model": ("load_champion", "ingest_window", "validate_window", "detect_drift", "monitor_performance", "decide_retraining"),
    "watch_model": ("detect_drift", "monitor_performance", "decide_retraining"),
}
"""Components that combine several steps and write the records of those steps instead of their own."""


@dataclass
class StepRecord:
    """The record of one step of a run.

    Attributes:
        step_name: Name of the step, unique within its run.
        state: ``running``, ``succeeded`` or ``failed``.
        started_at: ISO time, UTC.
        duration_s: Wall time inside the step in seconds, including imports of its logic; absent while it runs.
        outcome: The step's result in a word or sentence, such as a gate's answer or a verdict.
        details: Evidence as plain JSON values.
        reports: HTML reports of the step by name: the URI of the artifact, or of the copy kept next to the record.
        error: The error message, if the step failed.
    """

    step_name: str
    state: str = "running"
    started_at: str = ""
    duration_s: float | None = None
    outcome: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    reports: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> StepRecord:
        """Return the record that a JSON object holds. Fields that other versions write are ignored.

        Raises:
            TypeError: The object has no step_name, or is not an object.
        """
        return cls(**{item.name: content[item.name] for item in fields(cls) if item.name in content})


def now() -> str:
    """Return the current time in UTC as ISO text with milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class StepPlace:
    """Where a step reports what it did, and under which name.

    Attributes:
        ledger_uri: Folder or bucket of ledger and run records, or ``none``.
        run_id: The pipeline run, or ``none``.
        step_name: Name of the step, unique within the run.
    """

    ledger_uri: str
    run_id: str
    step_name: str

    def reported(self) -> AbstractContextManager[StepRecord]:
        """Return `reported_step` for this step."""
        return reported_step(ledger_uri=self.ledger_uri, run_id=self.run_id, step_name=self.step_name)


@contextmanager
def reported_step(*, ledger_uri: str, run_id: str, step_name: str) -> Iterator[StepRecord]:
    """Record the start and the end of a step; an error is recorded and re-raised.

    Args:
        ledger_uri: Folder or bucket of the ledger. ``none`` if a component is used on its own, in which case nothing is recorded.
        run_id: ID of the pipeline run (``dsl.PIPELINE_JOB_ID_PLACEHOLDER``).
        step_name: Name of the step, unique within the run.

    Yields:
        The record; the step fills in ``outcome``, ``details`` and ``reports``.

    Raises:
        StateError: The ledger URI cannot work in a pod, or the run ID is not a valid name.
    """
    record = StepRecord(step_name=step_name, started_at=now())
    store = None if is_nothing(ledger_uri) else open_store(check_ledger_uri(ledger_uri))
    started = time.monotonic()
    _save(store, run_id, record)
    try:
        yield record
    except BaseException as error:
        record.state = "failed"
        record.error = f"{type(error).__name__}: {error}"
        record.duration_s = round(time.monotonic() - started, 3)
        # If the record cannot be written either, the step's own error is still the one to report.
        with suppress(StateError):
            _keep_reports(store, run_id, record)
            _save(store, run_id, record)
        raise
    record.state = "succeeded"
    record.duration_s = round(time.monotonic() - started, 3)
    _keep_reports(store, run_id, record)
    _save(store, run_id, record)


def _keep_reports(store: ObjectStore | None, run_id: str, record: StepRecord) -> None:
    # KFP's artifacts have no suffix, so a browser would show their source; and everything of a run should be kept in one place.
    if store is None:
        return
    for name, uri in record.reports.items():
        file = local_path(uri)
        if file.is_file():
            kept = f"runs/{checked_id(run_id)}/{record.step_name}.{checked_id(name)}.html"
            store.write(kept, mask(file.read_text(encoding="utf-8", errors="surrogateescape")).encode("utf-8", errors="surrogateescape"))
            record.reports[name] = f"{store.uri}/{kept}"


def local_path(artifact_uri: str) -> Path:
    """Return the path at which a running step finds an artifact's file: KFP mounts object stores below the root."""
    for scheme in ("gs", "s3", "minio"):
        artifact_uri = artifact_uri.replace(f"{scheme}://", f"/{scheme if scheme != 'gs' else 'gcs'}/", 1)
    return Path(artifact_uri)


def _save(store: ObjectStore | None, run_id: str, record: StepRecord) -> None:
    if store is not None:
        # A record may contain text from a library or from user code.
        told = {**asdict(record), **mask_json({"outcome": record.outcome, "details": plain(record.details), "reports": record.reports, "error": record.error})}
        store.write(f"runs/{checked_id(run_id)}/{checked_id(record.step_name)}.json", to_json(told))


def checked_id(identifier: str) -> str:
    """Return the ID of a run or step if it is valid as an object name; raise StateError otherwise."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", identifier):
        raise StateError(f"id {identifier!r}: expected up to 200 letters, digits, '.', '_' or '-', starting with a letter or digit.")
    return identifier


def read_run(store: ObjectStore, run_id: str) -> list[StepRecord]:
    """Return the step records of a run in the order in which the steps started.

    Raises:
        StateError: A record is damaged.
    """
    names = [name for name in store.names(f"runs/{checked_id(run_id)}/") if name.endswith(".json")]
    records = [_parsed(content, f"{store.uri}/{name}") for name in names if (content := store.read(name)) is not None]
    return sorted(records, key=lambda record: record.started_at)


def _parsed(content: bytes, place: str) -> StepRecord:
    try:
        return StepRecord.from_json(json.loads(content))
    except (ValueError, TypeError) as error:
        raise StateError(f"run record {place}: is damaged: {error}. Remove it; this only affects how that run is displayed.") from error
