"""Reads a source's files in batches, either only the event times or whole rows."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from evergreen.ingestion.csv_types import widen_type
from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.file_format import not_utf8
from evergreen.ingestion.hive_partitions import with_partition_columns, with_partition_fields
from evergreen.ingestion.json_lines import joined_json_schema, json_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from evergreen.ingestion.source_file import SourceFile

BATCH_ROWS = 65_536
_CSV_BLOCK_BYTES = 4 << 20


@dataclass
class Portion:
    """A part of a file that is read or skipped as a whole: a Parquet row group, or a text file.

    Attributes:
        file: The file.
        row_group: Index of the row group; None for CSV and JSON Lines.
        text_types: Column types of a text file, once all of its rows have been read.
    """

    file: SourceFile
    row_group: int | None
    text_types: dict[str, pa.DataType] = field(default_factory=dict)


@contextmanager
def _named(file: SourceFile) -> Iterator[None]:
    """Name the file in any error raised while reading it."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError) as error:
        if "invalid UTF8" in str(error):
            raise not_utf8(file.uri) from error
        kind = {"parquet": "Parquet", "csv": "CSV", "json": "JSON Lines"}[file.format]
        raise IngestionError(f"source file {file.uri}: cannot be read as {kind}: {error}. It may be truncated or damaged. Write it again.") from error


def schema_of(file: SourceFile) -> pa.Schema:
    """Return the columns of a file and of its folder names; text columns have no type until all rows have been read.

    Raises:
        IngestionError: The file is truncated, damaged, or not encoded as UTF-8.
    """
    return with_partition_fields(_own_schema(file), file)


def _own_schema(file: SourceFile) -> pa.Schema:
    with _named(file):
        if file.format == "parquet":
            return pyarrow.parquet.read_schema(file.path)
        if file.format == "json":
            return pa.schema([(name, pa.null()) for name in next(json_blocks(file.path, {})).column_names])
        with _open_csv(file, None) as reader:
            return pa.schema([(name, pa.null()) for name in reader.schema.names])


def portions_of(file: SourceFile) -> list[Portion]:
    """Return the portions of a file in order.

    Raises:
        IngestionError: The file is truncated, damaged, or not encoded as UTF-8.
    """
    if file.format != "parquet":
        return [Portion(file, None)]
    with _named(file), pyarrow.parquet.ParquetFile(file.path) as parquet:
        return [Portion(file, group) for group in range(parquet.num_row_groups)]


def read_times(portion: Portion, timestamp_column: str) -> Iterator[pa.Array]:
    """Yield the event times of a portion unconverted; for Parquet, only that column is read.

    A text file must be read completely, so the types of its other columns are inferred at the same time and stored in ``portion.text_types``.

    Raises:
        IngestionError: The file is truncated, damaged, or not encoded as UTF-8.
    """
    if portion.row_group is not None:
        for batch in _parquet_batches(portion, [timestamp_column]):
            yield with_partition_columns(batch, portion.file, [timestamp_column]).column(0)
        return
    if portion.file.format == "json":
        yield from _json_times(portion, timestamp_column)
        return
    with _named(portion.file):
        names = _own_schema(portion.file).names
        found: dict[str, pa.DataType] = dict.fromkeys(names, pa.null())
        with _open_csv(portion.file, dict.fromkeys(names, pa.string())) as reader:
            for batch in reader:
                for name, values in zip(names, batch.columns, strict=True):
                    found[name] = widen_type(found[name], values)
                yield with_partition_columns(batch, portion.file, [timestamp_column]).column(timestamp_column)
        portion.text_types = {**found, **({timestamp_column: pa.string()} if timestamp_column in found else {})}


def read_rows(portion: Portion, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a portion, with the requested columns that exist in its file or its folder names.

    Raises:
        IngestionError: The file is truncated, damaged, not encoded as UTF-8, or contradicts its folder names.
    """
    for batch in _own_rows(portion, columns):
        yield with_partition_columns(batch, portion.file, columns)


def _own_rows(portion: Portion, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if portion.row_group is not None:
        yield from _parquet_batches(portion, columns)
        return
    if portion.file.format == "json":
        with _named(portion.file):
            for table in json_blocks(portion.file.path, portion.text_types):
                yield from table.select([name for name in table.column_names if name in columns]).to_batches(BATCH_ROWS)
        return
    with _named(portion.file), _open_csv(portion.file, portion.text_types) as reader:
        for batch in reader:
            yield batch.select([name for name in batch.schema.names if name in columns])


def _json_times(portion: Portion, timestamp_column: str) -> Iterator[pa.Array]:
    file, schema = portion.file, pa.schema([])
    with _named(file):
        for table in json_blocks(file.path, {}):
            schema = joined_json_schema(schema, table.schema, file.uri)
            for batch in table.to_batches():
                whole = with_partition_columns(batch, file, [timestamp_column])
                yield whole.column(timestamp_column) if timestamp_column in whole.schema.names else pa.nulls(len(batch))
    portion.text_types = {field.name: field.type for field in schema}


def _parquet_batches(portion: Portion, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    with _named(portion.file), pyarrow.parquet.ParquetFile(portion.file.path) as parquet:
        present = [name for name in parquet.schema_arrow.names if name in columns]
        yield from parquet.iter_batches(BATCH_ROWS, row_groups=[portion.row_group], columns=present)


def _open_csv(file: SourceFile, types: Mapping[str, pa.DataType] | None) -> pa.csv.CSVStreamingReader:
    return pyarrow.csv.open_csv(
        file.path,
        read_options=pyarrow.csv.ReadOptions(block_size=_CSV_BLOCK_BYTES),
        parse_options=pyarrow.csv.ParseOptions(delimiter=file.delimiter, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False),
    )
