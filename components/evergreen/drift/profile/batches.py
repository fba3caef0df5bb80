"""Reads a dataset in record batches of bounded size, regardless of its file layout."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from evergreen.data.artifacts import is_parquet
from evergreen.drift.errors import DriftError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

BATCH_ROWS = 65_536
PIECE_ROWS = 4 * BATCH_ROWS
BUFFER_BYTES = 1 << 20
PROBE_ROWS = 16_384
PROBES = 8


class PlacedBatch(NamedTuple):
    """Rows of a dataset and their position: the indices of the file, of the piece in the file, and of the batch in the piece."""

    place: tuple[int, int, int]
    rows: pa.RecordBatch


class Shard(NamedTuple):
    """One of several parts of a dataset that together contain each row exactly once.

    Attributes:
        number: Index of the part, starting at 0.
        of: Number of parts.
    """

    number: int
    of: int


WHOLE = Shard(0, 1)


class TableFiles:
    """A Parquet or CSV file, or a folder of them, that can be read in batches repeatedly."""

    def __init__(self, path: str | Path) -> None:
        """Find the files and read their schema.

        Args:
            path: A file or a folder.

        Raises:
            DriftError: The path does not exist, is empty, or is neither Parquet nor CSV.
        """
        self.path = Path(path)
        self._files = _files(self.path)
        self._parquet = is_parquet(self._files[0])
        self.schema = self._read_schema()

    def batches(self, columns: list[str], shard: Shard = WHOLE) -> Iterator[PlacedBatch]:
        """Yield rows of the requested columns, at most 65,536 at a time.

        A dataset is divided into pieces of whole row groups, about 262,144 rows each, or of whole CSV files; a shard is every n-th piece.

        Args:
            columns: The columns to read.
            shard: The part of the dataset to read.

        Raises:
            DriftError: A file is damaged, or lacks one of the columns.
        """
        pieces = 0
        for number, file in enumerate(self._files):
            with _reading(file):
                for piece, row_groups in enumerate(self._pieces(file)):
                    if pieces % shard.of == shard.number:
                        for batch, rows in enumerate(self._piece_batches(file, columns, row_groups)):
                            yield PlacedBatch((number, piece, batch), rows)
                    pieces += 1

    def probe(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield some rows from up to eight positions spread over the files, for a preview of the values."""
        if not self._parquet:
            with _reading(self._files[0]):
                yield from _first(self._csv_batches(self._files[0], columns))
            return
        places: list[tuple[Path, int]] = []
        for file in self._files:
            with _reading(file):
                places += [(file, group) for group in range(self._opened(file, []).metadata.num_row_groups)]
        step = max(1, len(places) // PROBES)
        for file, group in places[::step][:PROBES]:
            rows = BATCH_ROWS if len(places) == 1 else PROBE_ROWS
            with _reading(file):
                yield from _first(self._opened(file, []).iter_batches(batch_size=rows, row_groups=[group], columns=columns))

    def _pieces(self, file: Path) -> list[list[int]]:
        """Return the row group indices of each piece of a file."""
        if not self._parquet:
            return [[]]
        metadata = self._opened(file, []).metadata
        pieces: list[list[int]] = [[]]
        rows = 0
        for group in range(metadata.num_row_groups):
            if rows >= PIECE_ROWS:
                pieces.append([])
                rows = 0
            pieces[-1].append(group)
            rows += metadata.row_group(group).num_rows
        return pieces

    def _piece_batches(self, file: Path, columns: list[str], row_groups: list[int]) -> Iterator[pa.RecordBatch]:
        if not self._parquet:
            yield from self._csv_batches(file, columns)
            return
        opened = self._opened(file, [name for name in columns if _is_text(self.schema.field(name).type)])
        # Arrow silently ignores columns that a file does not have.
        missing = sorted(set(columns) - set(opened.schema_arrow.names))
        if missing:
            raise KeyError(f"it has no column {missing[0]!r}")
        # The other cores are busy counting the batches.
        yield from opened.iter_batches(batch_size=BATCH_ROWS, row_groups=row_groups, columns=columns, use_threads=False)

    def _opened(self, file: Path, texts: list[str]) -> Any:
        import pyarrow.parquet as pq

        # Without pre-buffering and with a small buffer, even a single huge row group is read piece by piece.
        return pq.ParquetFile(file, pre_buffer=False, buffer_size=BUFFER_BYTES, read_dictionary=texts)

    def _csv_batches(self, file: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        from pyarrow import csv

        convert = csv.ConvertOptions(include_columns=columns, column_types={name: self.schema.field(name).type for name in columns})
        yield from csv.open_csv(file, convert_options=convert)

    def _read_schema(self) -> pa.Schema:
        import pyarrow as pa

        file = self._files[0]
        try:
            schema = self._opened(file, []).schema_arrow if self._parquet else _csv_schema(file)
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DriftError(f"dataset {file}: is neither Parquet nor CSV, or is damaged: {error}. Check the file.") from error
        return schema


def _csv_schema(file: Path) -> pa.Schema:
    from pyarrow import csv

    return csv.open_csv(file).schema


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError) as error:
        reason = error.args[0] if error.args else error
        raise DriftError(f"dataset {file}: reading it failed: {reason}. The file is damaged, or its columns differ from the first file's.") from error


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise DriftError(f"dataset {path}: no such file or folder. Check the path.")
    files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith((".", "_"))) if path.is_dir() else [path]
    filled = [file for file in files if file.stat().st_size]
    if not filled:
        raise DriftError(f"dataset {path}: is empty; expected a Parquet or CSV file with a header. Check the step that wrote it.")
    return filled


def _first(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    batch = next(batches, None)
    if batch is not None:
        yield batch


def _is_text(arrow_type: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(arrow_type) or types.is_large_string(arrow_type) or types.is_string_view(arrow_type))
