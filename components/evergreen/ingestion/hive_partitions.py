"""Columns encoded in folder names, as written by Hive, Spark and ``pyarrow.dataset``: ``year=2024/month=01/part.parquet``."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.source_file import PartitionValue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.ingestion.source_file import SourceFile

NULL_NAME = "__HIVE_DEFAULT_PARTITION__"
"""Folder name for rows without a value."""

_INTEGER = re.compile(r"[+-]?\d{1,18}")


def with_hive_partitions(files: Sequence[SourceFile], locations: Sequence[str]) -> list[SourceFile]:
    """Return the files with the partition columns in their folder names.

    Types follow ``pyarrow.dataset``: a column whose values are all integers is numeric (``month=01`` is 1); any other column is text.

    Args:
        files: All files of a source.
        locations: The path or object name of each file, with ``/`` between its parts.

    Raises:
        IngestionError: A path specifies two values for one column.
    """
    found = [_texts_of(location) for location in locations]
    kinds: dict[str, pa.DataType] = {}
    for name in dict.fromkeys(name for texts in found for name in texts):
        known = [text for texts in found if (text := texts.get(name)) is not None]
        whole = all(_INTEGER.fullmatch(text) for text in known)
        kinds[name] = pa.null() if not known else pa.int64() if whole else pa.string()
    return [
        replace(file, partitions={name: PartitionValue(text, kinds[name]) for name, text in texts.items()}) if texts else file
        for file, texts in zip(files, found, strict=True)
    ]


def with_partition_fields(schema: pa.Schema, file: SourceFile) -> pa.Schema:
    """Return a file's columns followed by those that appear only in its folder names."""
    for name, value in file.partitions.items():
        if name not in schema.names:
            schema = schema.append(pa.field(name, value.kind))
    return schema


def with_partition_columns(batch: pa.RecordBatch, file: SourceFile, columns: Sequence[str]) -> pa.RecordBatch:
    """Return rows of a file with the requested partition columns added.

    Raises:
        IngestionError: The file itself has such a column with other values.
    """
    wanted = {name: value for name, value in file.partitions.items() if name in columns}
    if not wanted:
        return batch
    names, arrays = list(batch.schema.names), list(batch.columns)
    for name, value in wanted.items():
        if name in names:
            _check_agrees(batch.column(name), name, value, file)
        else:
            names.append(name)
            arrays.append(value.repeated(batch.num_rows))
    return pa.RecordBatch.from_arrays(arrays, names)


def _texts_of(location: str) -> dict[str, str | None]:
    texts: dict[str, str | None] = {}
    for folder in location.split("/")[:-1]:
        name, equals, text = folder.partition("=")
        if not (name and equals):
            continue
        # Hive percent-encodes characters that are not allowed in folder names, such as %3A.
        name, value = unquote(name), None if text == NULL_NAME else unquote(text)
        if texts.setdefault(name, value) != value:
            raise IngestionError(
                f"source file {location}: its folder names specify two values for column {name!r}, {texts[name]!r} and {value!r}; "
                "expected one. Move or rename the folders."
            )
    return texts


def _check_agrees(values: pa.Array, name: str, value: PartitionValue, file: SourceFile) -> None:
    try:
        expected = pa.scalar(value.text, pa.string()).cast(values.type.value_type if pa.types.is_dictionary(values.type) else values.type)
    except (pa.ArrowException, NotImplementedError):
        expected = None  # a column of this type cannot contain that value
    if expected is None:
        others = values
    elif not expected.is_valid:
        others = values.drop_null()
    else:
        plain = values.dictionary_decode() if pa.types.is_dictionary(values.type) else values
        others = plain.filter(pc.fill_null(pc.not_equal(plain, expected), fill_value=True))
    if len(others):
        raise IngestionError(
            f"column {name!r}: source file {file.uri} has the value {others[0].as_py()!r}, but its folder name says {value.text!r}; "
            f"expected one value for all rows below {name}=. Write the files without this column, or rename the folders."
        )
