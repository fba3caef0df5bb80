"""A database table, read through SQLAlchemy with one bounded query whose values are parameters."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from evergreen.ingestion.errors import NO_ROWS_REMEDY, IngestionError, NoRowsError
from evergreen.ingestion.event_time import iso_event_time
from evergreen.ingestion.sources.base import FetchedFiles, SourceRequest, missing_extra
from evergreen.ingestion.sources.files import describe_file
from evergreen.ingestion.sources.window_query import WindowQuery
from evergreen.secrets.addresses import without_password
from evergreen.settings.suggestions import did_you_mean
from evergreen.storage.local_paths import check_local_uri
from evergreen.storage.retries.service import Service, reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import URL, Connection, Engine, Table

    from evergreen.ingestion.window import Window

_VARIABLE = "env:"
_NAMES = re.compile(r"(?:[A-Z0-9_]+_)?DATABASE_URL")
"""Names of variables that hold a database URL rather than a key or token."""

_SENDS_FILES = ("local_infile", "allow_local_infile", "allow_local_infile_in_path")
"""Options of MySQL drivers that let the server request any local file."""

_EXTRAS = {"postgresql": "postgresql"}
_PATIENCE = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
"""Seconds after which PostgreSQL's client gives up on a silent server; by default it waits for minutes, and during a query for hours."""


class SqlSource:
    """A table or view.

    Names of tables and columns are looked up in the database and quoted by SQLAlchemy; they are never inserted into a statement verbatim.
    """

    def __init__(self, source_uri: str) -> None:
        """Parse the URI; no connection is opened yet.

        Args:
            source_uri: ``dialect://...#table`` or ``dialect://...#schema.table``; ``env:VARIABLE#table`` reads the URL from an environment variable,
                which keeps the password out of a run's parameters.

        Raises:
            IngestionError: The table is missing, or the variable is not set or its name is not allowed.
        """
        url, _, table = source_uri.partition("#")
        self._shown = without_password(source_uri)
        if not table:
            raise IngestionError(f"source {self._shown!r}: has no table; expected the table after a '#', such as {without_password(url)}#events.")
        url_in_environment = url.startswith(_VARIABLE)
        if url_in_environment:
            name = url.removeprefix(_VARIABLE)
            if _NAMES.fullmatch(name) is None:
                raise IngestionError(
                    f"source {self._shown!r}: variable {name!r} is not allowed: expected EVERGREEN_DATABASE_URL or another name that ends in DATABASE_URL. "
                    "Put the database URL under such a key into the secret that secret_name names."
                )
            if not os.environ.get(name):
                raise IngestionError(
                    f"source {self._shown!r}: environment variable {name!r} is not set; expected an SQLAlchemy URL in it. "
                    "Put it into the secret that secret_name names."
                )
            url = os.environ[name]
        # URLs from the environment are trusted; URLs from parameters are not.
        self._given = not url_in_environment
        self._url, (self._schema, _, self._table) = url, table.rpartition(".")
        advice = "Check the database and the network, then run the step again."
        self._service = Service("the database", self._shown, f"source {self._shown!r}", advice, IngestionError)

    def fetch(self, request: SourceRequest, folder: Path) -> FetchedFiles:
        """Write the rows that the window may need to a Parquet file; see :class:`evergreen.ingestion.sources.base.Source`."""
        target = folder / "rows.parquet"
        with self._errors():
            # Start over if the connection is lost, because a new connection sees another state of the table.
            rows, skipped, whole = self._service.call(lambda: self._read(request, target))
        if not rows:
            raise NoRowsError(
                f"source {self._shown!r}: has no rows near the window{request.bounds()}. Its newest event in {request.timestamp_column!r} is at "
                f"{iso_event_time(whole.end)}; its event times range from {iso_event_time(whole.start)} to {iso_event_time(whole.end)}. {NO_ROWS_REMEDY}"
            )
        # A database keeps no version of a table that could be requested later, so the number of rows identifies what was read.
        return FetchedFiles([describe_file(target, uri=self._shown, version=f"{rows} rows")], skipped, request.excluded_columns, whole)

    def check_unchanged(self, fetched: FetchedFiles) -> None:
        """Do nothing: one query saw one state of the table, and its rows are already in the file."""

    def _read(self, request: SourceRequest, target: Path) -> tuple[int, dict[str, int], Window]:
        with self._connection() as connection:
            table = self._found_table(connection)
            self._check_columns(table, request)
            query = WindowQuery(table, request, connection, self._shown)
            return query.write_rows(target), query.rows_left_out(), query.whole

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = self._engine()
        try:
            with engine.connect() as connection:
                if engine.dialect.name == "postgresql":
                    # Makes all queries see the same state.
                    connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
                yield connection
        finally:
            engine.dispose()

    def _engine(self) -> Engine:
        try:
            import sqlalchemy
        except ImportError as error:
            raise missing_extra(self._shown, "sqlalchemy", "sql") from error
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        try:
            url = sqlalchemy.make_url(self._url)
            if self._given:
                self._check_files(url)
            return sqlalchemy.create_engine(url, connect_args=_connect_arguments(url))
        except ModuleNotFoundError as error:
            dialect = self._url.partition(":")[0].partition("+")[0]
            raise missing_extra(self._shown, str(error.name), _EXTRAS.get(dialect, "sql")) from error
        except (ArgumentError, NoSuchModuleError) as error:
            raise IngestionError(f"source {self._shown!r}: is not an SQLAlchemy URL: {error}. Expected dialect+driver://user@host/database#table.") from error

    def _check_files(self, url: URL) -> None:
        """Reject a database file or a driver option that leads to secrets."""
        options = [value for values in url.normalized_query.values() for value in values]
        for option in _SENDS_FILES:
            if option in url.query:
                raise IngestionError(f"source {self._shown!r}: option {option} is not allowed, because it lets the server read the step's files. Remove it.")
        pieces = [piece for option in options for piece in re.split(r"[;,=\s]", option) if "/" in piece]
        for path in (url.database or "", *pieces):
            if path and (url.get_backend_name() == "sqlite" or path in pieces):
                check_local_uri(path.partition("?")[0], thing=f"source {self._shown!r}", error_class=IngestionError)

    def _found_table(self, connection: Connection) -> Table:
        from sqlalchemy import MetaData, Table, inspect

        inspector = inspect(connection)
        names = [*inspector.get_table_names(self._schema or None), *inspector.get_view_names(self._schema or None)]
        if self._table not in names:
            raise IngestionError(
                f"source {self._shown!r}: Unknown table or view {self._table!r}. Valid tables: {', '.join(sorted(names)) or 'none'}."
                f"{did_you_mean(self._table, names)} Specify one after the '#'."
            )
        return Table(self._table, MetaData(), schema=self._schema or None, autoload_with=connection, resolve_fks=False)

    def _check_columns(self, table: Table, request: SourceRequest) -> None:
        names = [column.name for column in table.columns]
        for parameter, wanted in (("timestamp_column", [request.timestamp_column]), ("excluded_columns", request.excluded_columns)):
            for name in wanted:
                if name not in names:
                    raise IngestionError(
                        f"{parameter}: {self._shown!r} has no column {name!r}. Valid columns: {', '.join(names)}.{did_you_mean(name, names)} Correct the name."
                    )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            told = reason(getattr(error, "orig", None) or error).partition(": ")[2]
            raise IngestionError(
                f"source {self._shown!r}: the database rejected the query: {told}. Check the address, the user and its SELECT permission."
            ) from error


def _connect_arguments(url: URL) -> dict[str, int]:
    if url.get_driver_name() not in ("psycopg", "psycopg2"):
        return {}
    return {name: value for name, value in _PATIENCE.items() if name not in url.query}
