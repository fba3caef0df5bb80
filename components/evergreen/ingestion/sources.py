"""Which files a source URI names, and what each of them holds."""

from __future__ import annotations

import glob
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from evergreen.ingestion.errors import IngestionError

FileFormat = Literal["parquet", "csv"]

PARQUET_MARK = b"PAR1"
GZIP_MARK = b"\x1f\x8b"
DATA_SUFFIXES = (".parquet", ".parq", ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz")
"""Names that count as data in a folder, beside names without any suffix (``part-00000``)."""

_GLOB_MARKS = ("*", "?", "[")
_SAMPLE_BYTES = 65_536
_DELIMITERS = (",", "\t", ";", "|")


@dataclass(frozen=True)
class SourceFile:
    """One file of a source.

    Attributes:
        path: Where it lies.
        format: ``parquet`` or ``csv``.
        size: Bytes.
        version: Tells one content of the path from another: the time of the last change in nanoseconds.
        delimiter: What separates the fields of a CSV file.
    """

    path: Path
    format: FileFormat
    size: int
    version: str
    delimiter: str = ","

    @property
    def uri(self) -> str:
        """The file's URI."""
        return self.path.absolute().as_uri()


def find_files(source_uri: str) -> list[SourceFile]:
    """Return the files that a source names, sorted by path, so that the same source is always read in the same order.

    In a folder (searched with all folders below it) only files count that are named as data or have no suffix; names that
    start with ``.`` or ``_`` are passed over, as Spark and Hive do. A file or a glob is taken at its word.

    Args:
        source_uri: A file, a folder or a glob; a path or a ``file://`` URI.

    Returns:
        At least one file.

    Raises:
        IngestionError: Nothing is there, or a file is empty or neither Parquet nor CSV.
    """
    location = local_path(source_uri)
    path = Path(location)
    if path.is_dir():
        paths = [file for file in path.rglob("*") if file.is_file() and _counts_as_data(file, path)]
        if not paths:
            raise IngestionError(
                f"source {source_uri!r}: the folder holds no data files. Expected files named {', '.join(DATA_SUFFIXES)}, or without a suffix."
            )
    elif path.is_file():
        paths = [path]
    elif any(mark in location for mark in _GLOB_MARKS):
        paths = [Path(name) for name in glob.glob(location, recursive=True) if Path(name).is_file()]  # noqa: PTH207  # Path.glob takes no absolute pattern
        if not paths:
            raise IngestionError(f"source {source_uri!r}: no file matches this pattern. Check the path; it is read where the step runs.")
    else:
        raise IngestionError(f"source {source_uri!r}: there is no such file or folder. Check the path; it is read where the step runs.")
    return [_describe(file) for file in sorted(paths)]


def local_path(source_uri: str) -> str:
    """Return the path that a source URI stands for.

    Raises:
        IngestionError: The URI is empty or of a scheme that is not read.
    """
    if not source_uri.strip():
        raise IngestionError("source_uri is empty: expected a file, a folder or a glob of Parquet or CSV files.")
    scheme, mark, _ = source_uri.partition("://")
    if not mark:
        return source_uri
    if scheme.lower() != "file":
        raise IngestionError(
            f"source {source_uri!r}: {scheme}:// is not read; expected a path or file:// URI of local files. Copy the data to a volume, or mount the bucket."
        )
    # Not urlsplit(...).path of the raw text: "?" is a glob mark here, not the start of a query.
    return unquote(urlsplit(source_uri.replace("?", "%3F").replace("#", "%23")).path)


def _counts_as_data(file: Path, folder: Path) -> bool:
    if any(part.startswith((".", "_")) for part in file.relative_to(folder).parts):
        return False
    return not file.suffix or file.name.lower().endswith(DATA_SUFFIXES)


def _describe(path: Path) -> SourceFile:
    try:
        status = path.stat()
        with path.open("rb") as content:
            start = content.read(_SAMPLE_BYTES)
    except OSError as error:
        raise IngestionError(f"source file {path}: cannot be read: {error}. Check the file's permissions.") from error
    if not start:
        raise IngestionError(f"source file {path}: is empty (0 bytes); expected Parquet or CSV. Remove it or write it again.")
    version = str(status.st_mtime_ns)
    if start.startswith(PARQUET_MARK):
        return SourceFile(path, "parquet", status.st_size, version)
    sample = _as_text(path, start)
    if sample is None or path.name.lower().endswith((".parquet", ".parq", ".pq")):
        raise IngestionError(f"source file {path}: is neither Parquet nor CSV (it starts with {start[:8]!r}). Expected Parquet, or UTF-8 text with a header.")
    header = sample.splitlines()[0] if sample.strip() else ""
    if not header.strip():
        raise IngestionError(f"source file {path}: has no header; expected a first line with the names of the columns.")
    delimiter = next((mark for mark in _DELIMITERS if mark in header), ",")
    return SourceFile(path, "csv", status.st_size, version, delimiter)


def _as_text(path: Path, start: bytes) -> str | None:
    """Return a file's first characters, unpacked if need be; None when they are not text."""
    if start.startswith(GZIP_MARK):
        try:
            start = zlib.decompressobj(wbits=31).decompress(start, _SAMPLE_BYTES)
        except zlib.error as error:
            raise IngestionError(f"source file {path}: is packed with gzip but cannot be unpacked: {error}. Write it again.") from error
    if b"\0" in start:
        return None
    try:
        return start.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The sample may end in the middle of a character.
        return start[: error.start].decode("utf-8-sig") if error.start >= len(start) - 3 and error.start > 0 else None
