"""The columns of a source: their common types across files, and which of them are used."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import EVENT_TIME
from evergreen.settings.suggestions import did_you_mean
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class SourceColumns:
    """The columns of a source, file by file.

    The type of a column is the narrowest that can represent every file's values: integers become floats if another file has
    floats, and a column without values takes any type. The order is that of the first file. A column that a file lacks is null in its rows.
    """

    timestamp_column: str
    excluded: Sequence[str]

    def __post_init__(self) -> None:
        """Start with no files."""
        self._types: dict[str, pa.DataType] = {}
        self._first_file: dict[str, str] = {}

    def add(self, schema: pa.Schema, file: str) -> None:
        """Add the columns of a file.

        Raises:
            IngestionError: The file lacks the event time, has two columns of the same name, or a type incompatible with the other files.
        """
        twice = [name for name, count in Counter(schema.names).items() if count > 1]
        if twice:
            raise IngestionError(f"source file {file}: has {schema.names.count(twice[0])} columns named {twice[0]!r}; expected unique names. Rename them.")
        if self.timestamp_column not in schema.names:
            raise IngestionError(
                f"timestamp_column {self.timestamp_column!r}: source file {file} has no such column. Valid columns: {', '.join(schema.names)}."
                f"{did_you_mean(self.timestamp_column, schema.names)} Specify the column that holds the event time."
            )
        for field in schema:
            if field.name != self.timestamp_column:
                self._add_column(field.name, plain_type(field.type), file)
            self._first_file.setdefault(field.name, file)

    def output_schema(self) -> pa.Schema:
        """Return the columns of the dataset, without the excluded ones.

        Raises:
            IngestionError: An excluded column does not exist.
        """
        for name in self.excluded:
            if name not in self._first_file:
                raise IngestionError(
                    f"excluded_columns: Unknown column {name!r}. Valid columns: {', '.join(self._first_file)}."
                    f"{did_you_mean(name, list(self._first_file))} Correct the name or remove it from the list."
                )
        taken = [name for name in self._first_file if name not in self.excluded]
        return pa.schema([(name, EVENT_TIME if name == self.timestamp_column else self._types[name]) for name in taken])

    def _add_column(self, name: str, kind: pa.DataType, file: str) -> None:
        known = self._types.setdefault(name, kind)
        if known == kind or name in self.excluded:
            return
        try:
            unified = pa.unify_schemas([pa.schema([(name, known)]), pa.schema([(name, kind)])], promote_options="permissive")
        except pa.ArrowException as error:
            raise IngestionError(
                f"column {name!r}: is {kind} in source file {file} and {known} in {self._first_file[name]}; expected the same type in all files. "
                "Write the files with one type, or omit the column with excluded_columns."
            ) from error
        self._types[name] = unified.field(name).type


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the plain type for the same values, without file encodings such as dictionaries and large or view types."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    return kind


def parse_excluded_columns(excluded_columns: str, *, timestamp_column: str) -> list[str]:
    """Parse a comma-separated list of column names.

    Raises:
        IngestionError: The list contains the event time.
    """
    if is_nothing(excluded_columns):
        return []
    names = [name.strip() for name in excluded_columns.split(",") if name.strip()]
    if timestamp_column in names:
        raise IngestionError(f"excluded_columns: {timestamp_column!r} is the timestamp_column, which every dataset needs. Remove it from the list.")
    return names
