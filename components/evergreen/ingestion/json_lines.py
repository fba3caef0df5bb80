"""JSON Lines: one object per line, read in blocks of whole lines."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.json

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.file_format import GZIP_MARK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

_BLOCK_BYTES = 4 << 20


def json_blocks(path: Path, types: Mapping[str, pa.DataType]) -> Iterator[pa.Table]:
    """Yield the rows of a plain or gzip-compressed file, a few megabytes at a time.

    Args:
        path: The file.
        types: Types of known columns; the types of other columns are inferred from each block.

    Raises:
        pa.ArrowException: A line is not a JSON object, or a column holds values of two types.
        OSError: The file cannot be read or decompressed.
    """
    schema = pa.schema(list(types.items())) if types else None
    parsing = pyarrow.json.ParseOptions(explicit_schema=schema, newlines_in_values=False, unexpected_field_behavior="infer")
    for block in _whole_lines(path):
        # Read as a single block; otherwise Arrow would infer types from its own first block.
        reading = pyarrow.json.ReadOptions(use_threads=False, block_size=max(len(block), 1))
        yield pyarrow.json.read_json(pa.BufferReader(block), read_options=reading, parse_options=parsing)


def joined_json_schema(known: pa.Schema, block: pa.Schema, shown: str) -> pa.Schema:
    """Return a schema for the values of all blocks: integers combined with floats become floats, times combined with text become text.

    Raises:
        IngestionError: A column holds values of two incompatible types.
    """
    for field in block:
        position = known.get_field_index(field.name)
        if position < 0:
            known = known.append(field)
        elif known.field(position).type != field.type:
            known = known.set(position, pa.field(field.name, _common_type(known.field(position).type, field, shown)))
    return known


def _common_type(known: pa.DataType, field: pa.Field, shown: str) -> pa.DataType:
    kinds = (known, field.type)
    if any(map(pa.types.is_string, kinds)) and any(map(pa.types.is_timestamp, kinds)):
        return pa.string()
    try:
        return pa.unify_schemas([pa.schema([(field.name, kind)]) for kind in kinds], promote_options="permissive").field(0).type
    except pa.ArrowException as error:
        raise IngestionError(
            f"source file {shown}: column {field.name!r} holds {known} in some lines and {field.type} in others; expected one type. "
            "Write the column with one type, or omit it with excluded_columns."
        ) from error


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MARK
    opened = gzip.open(path, "rb") if packed else path.open("rb")  # noqa: SIM115  # closed by the with below
    with opened as file:
        rest = b""
        while part := file.read(_BLOCK_BYTES):
            lines, newline, rest_of_part = part.rpartition(b"\n")
            if not newline:
                rest += part
                continue
            yield from _unless_blank(rest + lines + newline)
            rest = rest_of_part
        yield from _unless_blank(rest)


def _unless_blank(block: bytes) -> Iterator[bytes]:
    if block.strip():
        yield block
