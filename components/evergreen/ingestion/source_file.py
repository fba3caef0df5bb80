"""One file of a source, with what the names of its folders say."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.ingestion.file_format import FileFormat


class PartitionValue(NamedTuple):
    """The value that a folder's name gives to a column of all rows below it.

    Attributes:
        text: The value as it stands in the name; None for a missing one.
        kind: The column's type: that of every folder's value, whole numbers or text.
    """

    text: str | None
    kind: pa.DataType

    def repeated(self, rows: int) -> pa.Array:
        """Return the value as a column."""
        return pa.repeat(pa.scalar(self.text, pa.string()), rows).cast(self.kind)


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        path: Where it lies on this machine.
        uri: Where it comes from.
        format: ``parquet``, ``csv`` or ``json`` (JSON Lines).
        size: Bytes.
        version: Tells one content of the URI from another: for local files the time of the last change in nanoseconds.
        delimiter: What separates the fields of a CSV file.
        partitions: Columns that the names of its folders hold.
    """

    path: Path
    uri: str
    format: FileFormat
    size: int
    version: str
    delimiter: str = ","
    partitions: dict[str, PartitionValue] = field(default_factory=dict)
