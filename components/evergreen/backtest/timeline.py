"""History as it unfolds: at each moment, only the labels known at that time are available."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from evergreen.backtest.errors import BacktestError, LookAheadError
from evergreen.data.artifacts import read_frame
from evergreen.data.columns import event_times
from evergreen.data.times import iso_time

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class HistoryWindow:
    """A half-open window [start, end) of event time, UTC."""

    start: pd.Timestamp
    end: pd.Timestamp


class Timeline:
    """Rows in time order, and the windows they fall into."""

    def __init__(self, frame: pd.DataFrame, *, target_column: str, timestamp_column: str, label_delay_days: int = 0) -> None:
        """Sort the rows by time.

        Args:
            frame: Rows with features, label and event time.
            target_column: Name of the label column.
            timestamp_column: Name of the event time column.
            label_delay_days: Days after which the label of a row is known.

        Raises:
            BacktestError: A column is missing, there are no rows, a row has no time, or the delay is negative.
        """
        for role, name in (("--target-column", target_column), ("--timestamp-column", timestamp_column)):
            if name not in frame.columns:
                raise BacktestError(f"Unknown column {name!r} in {role}. Columns of the data: {', '.join(map(str, frame.columns))}. Correct the name.")
        if frame.empty:
            raise BacktestError("The data contains no rows. Pass a file or folder with the history of the model's data.")
        if label_delay_days < 0:
            raise BacktestError(f"Invalid --label-delay-days {label_delay_days}: expected 0 or more days.")
        times = event_times(frame[timestamp_column])
        if times.isna().any():
            raise BacktestError(f"--timestamp-column {timestamp_column!r}: {int(times.isna().sum())} of {len(times)} rows have no event time. Remove them.")
        order = times.sort_values(kind="stable").index
        self._frame = frame.loc[order].assign(**{timestamp_column: times.loc[order]}).reset_index(drop=True)
        self._times = self._frame[timestamp_column]
        self.target_column, self.timestamp_column = target_column, timestamp_column
        self.label_delay = pd.Timedelta(days=label_delay_days)

    @classmethod
    def read(
        cls, path: str | Path, *, target_column: str, timestamp_column: str, label_delay_days: int = 0, excluded_columns: tuple[str, ...] = ()
    ) -> Timeline:
        """Read a file or folder.

        Raises:
            ArtifactError: The file or folder cannot be read.
            BacktestError: Its rows cannot be used, or a column to exclude does not exist.
        """
        frame = read_frame(path)
        missing = [name for name in excluded_columns if name not in frame.columns]
        if missing:
            raise BacktestError(f"Unknown column {missing[0]!r} in --exclude. Columns of the data: {', '.join(map(str, frame.columns))}.")
        kept = frame.drop(columns=list(excluded_columns))
        return cls(kept, target_column=target_column, timestamp_column=timestamp_column, label_delay_days=label_delay_days)

    def between(self, since: str, until: str) -> Timeline:
        """Return the part of the history from one ISO time up to another; an empty text means no bound.

        Raises:
            BacktestError: The part contains no rows.
        """
        start = pd.Timestamp(since) if since else self._times.iloc[0]
        end = pd.Timestamp(until) if until else self._times.iloc[-1] + pd.Timedelta(microseconds=1)
        part = self._between(start, end)
        columns = {"target_column": self.target_column, "timestamp_column": self.timestamp_column}
        return Timeline(part, **columns, label_delay_days=self.label_delay.days)

    @property
    def start(self) -> pd.Timestamp:
        """Event time of the first row."""
        return pd.Timestamp(self._times.iloc[0])

    @property
    def end(self) -> pd.Timestamp:
        """Event time of the last row."""
        return pd.Timestamp(self._times.iloc[-1])

    def windows(self, *, window_days: int, start_days: int) -> list[HistoryWindow]:
        """Return the complete windows after the first days, on which the first model is fitted. A remainder at the end is dropped.

        Raises:
            BacktestError: A length is less than one day, or the history is too short for a window.
        """
        for name, days in (("--window-days", window_days), ("--start-days", start_days)):
            if days < 1:
                raise BacktestError(f"Invalid {name} {days}: expected at least 1 day.")
        first, last = self._times.iloc[0].normalize(), self._times.iloc[-1]
        length, start = pd.Timedelta(days=window_days), first + pd.Timedelta(days=start_days)
        windows = []
        # The newest row completes its day, so that daily data fills its last window.
        while start + length <= last + pd.Timedelta(days=1):
            windows.append(HistoryWindow(start, start + length))
            start += length
        if not windows:
            raise BacktestError(
                f"The data spans {iso_time(first)} to {iso_time(last)}, which contains no window of {window_days} days after the first {start_days}. "
                "Use more history or shorter windows."
            )
        return windows

    def outcome(self, window: HistoryWindow) -> pd.DataFrame:
        """Return all labelled rows of a window, for scoring the model in use at the time; nothing may learn from them."""
        rows = self._between(window.start, window.end)
        return rows[rows[self.target_column].notna()]

    def at(self, now: pd.Timestamp) -> Knowledge:
        """Return what was known at a moment."""
        return Knowledge(self, now)

    def _between(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        first, last = self._times.searchsorted(start), self._times.searchsorted(end)
        return self._frame.iloc[int(first) : int(last)]


@dataclass(frozen=True)
class Knowledge:
    """What was known at a moment: rows whose labels had arrived by then."""

    timeline: Timeline
    now: pd.Timestamp

    @property
    def settled(self) -> pd.Timestamp:
        """Event time up to which labels were known."""
        return self.now - self.timeline.label_delay

    def rows(self, start: pd.Timestamp, end: pd.Timestamp) -> pd.DataFrame:
        """Return the rows in [start, end), with their labels.

        Raises:
            LookAheadError: Labels of that time were not known yet.
        """
        if end > self.settled:
            raise LookAheadError(f"At {iso_time(self.now)}, labels are known up to {iso_time(self.settled)}, but rows up to {iso_time(end)} were requested.")
        return self.timeline._between(start, end)

    def newest(self, days: float) -> pd.DataFrame:
        """Return the newest days of rows with known labels."""
        return self.rows(self.settled - pd.Timedelta(days=days), self.settled)

    def older(self, days: float, most: int) -> pd.DataFrame:
        """Return the newest rows before the newest days of rows with known labels, as many as a number at most."""
        return self.timeline._between(pd.Timestamp.min.tz_localize("UTC"), self.settled - pd.Timedelta(days=days)).tail(most)
