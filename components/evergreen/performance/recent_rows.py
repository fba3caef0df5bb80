"""A sample of the rows of earlier windows, kept beside the ledger: small models of the probe learn from them.

Each window adds one Parquet file, ``recent_rows/MODEL/END.parquet``, with at most 2,000 labelled rows. A file is written once and never changed;
old ones can be deleted at any time, and the probe then learns from less.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present
from evergreen.data.columns import event_times
from evergreen.errors import ArtifactError
from evergreen.registry.ledger import folder_name
from evergreen.storage.opening import open_store
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from evergreen.storage.base import ObjectStore

MOST_ROWS_KEPT = 2000
MOST_ROWS_READ = 20_000
MOST_FILES_READ = 24
SUFFIX = ".parquet"
STAMP = "%Y%m%dT%H%M%S%fZ"
NAMED_BY_TIME = re.compile(r"/\d{8}T\d{12}Z\.parquet$")


@dataclass(frozen=True)
class RecentRows:
    """The rows kept of one model's windows.

    Attributes:
        store: The store of the ledger.
        folder: The model's folder in it.
    """

    store: ObjectStore
    folder: str

    def before(self, start: pd.Timestamp, *, columns: Sequence[str], timestamp_column: str) -> tuple[pd.DataFrame | None, list[str]]:
        """Return the newest rows of earlier windows that are older than a time, or None, and a sentence about each file that cannot be read.

        A broken file costs the probe some rows; it is no reason not to monitor. Rows kept for a champion with other features are left out.

        Args:
            start: The time.
            columns: The columns to return.
            timestamp_column: Name of the event time column.

        Raises:
            StateError: The store cannot be used.
        """
        import pandas as pd

        frames: list[pd.DataFrame] = []
        problems: list[str] = []
        names = self._names()
        for place in reversed(range(max(0, len(names) - MOST_FILES_READ), len(names))):
            content = self.store.read(names[place])
            if content is None:
                continue
            try:
                frame, times = _read(content, timestamp_column)
            except (OSError, ValueError, ArtifactError) as error:
                why = " ".join(str(error).split()).rstrip(".")
                problems.append(f"{self.store.uri}/{names[place]} is not a Parquet file of rows, so the probe works without it: {why}. Delete the file.")
                continue
            if not set(columns) <= set(frame.columns):
                continue
            # Two runs at once may both have kept rows of the same time: each file counts from the end of the one before.
            counts = times < start if place == 0 else (times < start) & (times > _end_of(names[place - 1]))
            frames.insert(0, frame.loc[counts, list(columns)])
            if sum(map(len, frames)) >= MOST_ROWS_READ:
                break
        found = [frame for frame in frames if len(frame)]
        return (pd.concat(found, ignore_index=True) if found else None), problems

    def keep(self, rows: pd.DataFrame, *, columns: Sequence[str], timestamp_column: str, seed: int) -> int:
        """Keep a sample of the rows that are newer than those kept before, and return its size.

        Windows may overlap, and a run may be repeated: each row is kept at most once.

        Args:
            rows: Labelled rows of a window.
            columns: The columns to keep.
            timestamp_column: Name of the event time column.
            seed: Random seed of the sample.

        Raises:
            StateError: The store cannot be used.
        """
        names = self._names()
        # To the microsecond, like the names of the files.
        times = event_times(rows[timestamp_column]).dt.floor("us")
        if names:
            newer = times > _end_of(names[-1])
            rows, times = rows[newer], times[newer]
        if rows.empty:
            return 0
        kept = rows.sample(min(len(rows), MOST_ROWS_KEPT), random_state=seed).sort_index()[list(columns)]
        buffer = io.BytesIO()
        kept.to_parquet(buffer, index=False)
        created = self.store.create(f"{self.folder}/{times.max().strftime(STAMP)}{SUFFIX}", buffer.getvalue())
        return len(kept) if created else 0

    def _names(self) -> list[str]:
        # A file of another name was put there by somebody else.
        return [name for name in self.store.names(f"{self.folder}/") if NAMED_BY_TIME.search(name)]


def _end_of(name: str) -> pd.Timestamp:
    import pandas as pd

    return pd.Timestamp(pd.to_datetime(name.rsplit("/", 1)[-1].removesuffix(SUFFIX), format=STAMP, utc=True))


def _read(content: bytes, timestamp_column: str) -> tuple[pd.DataFrame, pd.Series[pd.Timestamp]]:
    import pandas as pd

    frame = pd.read_parquet(io.BytesIO(content))
    if timestamp_column not in frame.columns:
        raise ValueError(f"it has no column {timestamp_column!r}")
    return frame, event_times(frame[timestamp_column])


def open_recent_rows(ledger_uri: str, model_name: str) -> RecentRows | None:
    """Return the rows kept of a model's windows, or None when monitoring is used without a ledger.

    Args:
        ledger_uri: Folder or bucket of the ledger, or ``none``.
        model_name: Name of the registered model; empty if unknown.

    Raises:
        StateError: The URI's scheme is not supported.
    """
    if is_nothing(ledger_uri) or not model_name:
        return None
    return RecentRows(open_store(ledger_uri), f"recent_rows/{folder_name(model_name)}")


def model_name_of(baseline: Any) -> str:
    """Return the model's name in the metadata of a baseline written by load_champion; empty if unknown."""
    return str(baseline.metadata.get("model_name", "")) if is_present(baseline) else ""
