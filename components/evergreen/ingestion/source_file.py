"""A file of a source, with the partition values in its folder names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.ingestion.file_format import FileFormat


class PartitionValue(NamedTuple):
    """The value that a folder name sets for a column in all rows below it.

    Attributes:
        text: The value as written in the folder name; None if missing.
        kind: Type of the column across all folders: integers or text.
    """

    text: str | None
    kind: pa.DataType

    def repeated(self, rows: int) -> pa.Array:
        """Return the value as a column."""
        return pa.repeat(pa.scalar(self.text, pa.string()), rows).cast(self.kind)


@dataclass(frozen=True)
class SourceFile:
    """A file of a source.

    Attributes:
        path: Local path.
        uri: Origin of the file.
        format: ``parquet``, ``csv`` or ``json`` (JSON Lines).
        size: Size in bytes.
        version: Identifies the content of the URI; for local files, the modification time in nanoseconds.
        delimiter: Delimiter of a CSV file.
        partitions: Partition columns from its folder names.
    """

    path: Path
    uri: str
    format: FileFormat
    size: int
    version: str
    delimiter: str = ","
    partitions: dict[str, PartitionValue] = field(default_factory=dict)
