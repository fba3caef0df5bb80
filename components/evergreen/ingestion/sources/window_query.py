"""Queries for a window of one table: its range of times, and the rows that the window may need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import normalise_event_time
from evergreen.ingestion.sources.sql_types import arrow_type, as_arrow, as_selected, bound_like, type_of_times
from evergreen.ingestion.window import MICROSECONDS_PER_DAY, Window

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Table

    from evergreen.ingestion.sources.base import SourceRequest

ROWS_AT_A_TIME = 20_000


class WindowQuery:
    """Reads one table through one connection. Every value is passed as a statement parameter."""

    def __init__(self, table: Table, request: SourceRequest, connection: Connection, shown: str) -> None:
        """Query the range of event times.

        Args:
            table: The table as described by the database.
            request: The request; its columns exist in the table.
            connection: An open connection.
            shown: The source, for error messages.

        Raises:
            IngestionError: There are no event times, or they cannot be parsed.
        """
        self._table, self._request, self._connection, self._shown = table, request, connection, shown
        self._dialect = connection.dialect.name
        self._time: Any = as_selected(table.columns[request.timestamp_column], self._dialect)
        if hasattr(self._time, "element"):
            self._time = self._time.element  # without its label, to use it in conditions
        self._sample, self.whole = self._range()

    def write_rows(self, target: Path) -> int:
        """Write the rows of the window and of one extra day on each side to a Parquet file, sorted by time; return their number."""
        from sqlalchemy import select

        taken = [column for column in self._table.columns if column.name not in self._request.excluded_columns]
        schema = pa.schema(
            [
                (column.name, type_of_times(self._sample) if column.name == self._request.timestamp_column else arrow_type(column, self._dialect))
                for column in taken
            ]
        )
        reach = self._reach()
        statement = (
            select(*(as_selected(column, self._dialect) for column in taken))
            .where(self._time >= self._bound(reach.start), self._time < self._bound(reach.end))
            .order_by(self._time)
        )
        rows = 0
        result = self._connection.execution_options(stream_results=True, yield_per=ROWS_AT_A_TIME).execute(statement)
        with result, pyarrow.parquet.ParquetWriter(target, schema) as writer:
            for part in result.partitions():
                writer.write_batch(as_arrow(part, schema, self._shown))
                rows += len(part)
        return rows

    def rows_left_out(self) -> dict[str, int]:
        """Return the number of rows without an event time, and of rows with an impossible future time."""
        from sqlalchemy import func, select

        conditions = {"rows without event time": self._time.is_(None)}
        if self._request.window_end is None:
            conditions["rows in the future"] = self._time > self._bound(self._request.now + 2 * MICROSECONDS_PER_DAY)
        counts = {
            name: int(self._connection.execute(select(func.count()).select_from(self._table).where(condition)).scalar_one())
            for name, condition in conditions.items()
        }
        return {name: count for name, count in counts.items() if count}

    def _range(self) -> tuple[Any, Window]:
        """Return a sample time in the database's form, and the range of times, ignoring impossible future times if ``latest`` is requested."""
        from sqlalchemy import func, select

        oldest, newest = self._connection.execute(select(func.min(self._time), func.max(self._time))).one()
        if newest is None:
            raise IngestionError(
                f"source {self._shown!r}: has no event time in {self._request.timestamp_column!r}: the table is empty, or the column has only nulls. "
                "Specify another column, or check the process that writes the table."
            )
        self._sample = newest
        limit = self._request.now + MICROSECONDS_PER_DAY
        if self._request.window_end is None and self._ticks(newest) > limit >= self._ticks(oldest):
            newest = self._connection.execute(select(func.max(self._time)).where(self._time <= self._bound(limit))).scalar_one()
        return newest, Window(self._ticks(oldest), self._ticks(newest))

    def _reach(self) -> Window:
        """Return the maximum extent of the window, with one extra day on each side because text times have time zones and databases round."""
        asked, request = self._request.window_end, self._request
        end = self.whole.end if asked is None else asked - request.label_delay_days * MICROSECONDS_PER_DAY
        days = request.window_days + (request.label_delay_days if asked is None else 0)
        starts = [end - days * MICROSECONDS_PER_DAY, *([max(before)] if (before := [earlier for earlier in request.earlier_ends if earlier < end]) else [])]
        ends = [end]
        if request.counted_window is not None:
            starts.append(request.counted_window.start)
            ends.append(request.counted_window.end)
        return Window(min(starts) - MICROSECONDS_PER_DAY, max(ends) + 2 * MICROSECONDS_PER_DAY)

    def _bound(self, ticks: int) -> Any:
        return bound_like(self._sample, self._ticks(self._sample), ticks)

    def _ticks(self, value: Any) -> int:
        values = pa.array([value], type_of_times(value))
        return int(normalise_event_time(values, column=self._request.timestamp_column, origin=self._shown).cast(pa.int64())[0].as_py())
