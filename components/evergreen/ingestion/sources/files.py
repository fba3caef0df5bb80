"""Finds the files that a source URI refers to, and detects their formats."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.file_format import SAMPLE_BYTES, recognise_format
from evergreen.ingestion.source_file import SourceFile
from evergreen.storage.local_paths import check_local_folder, check_local_path

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence


DATA_SUFFIXES = (".parquet", ".parq", ".pq", ".csv", ".csv.gz", ".tsv", ".tsv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
"""Suffixes of data files in a folder; names without a suffix (``part-00000``) are data files too."""

GLOB_MARKS = ("*", "?", "[")


def find_files(source_uri: str) -> list[SourceFile]:
    """Return the files of a source, sorted by path so that the same source is always read in the same order.

    In a folder, which is searched recursively, only files with a data suffix or no suffix are used; names that start with ``.`` or
    ``_`` are ignored, as in Spark and Hive. A file or the matches of a glob are always used.

    Args:
        source_uri: A file, a folder or a glob; a path or a ``file://`` URI.

    Returns:
        At least one file.

    Raises:
        IngestionError: There are no files, a file is empty or is not Parquet, CSV or JSON Lines, or the path leads to secrets.
    """
    from evergreen.ingestion.hive_partitions import with_hive_partitions

    location = local_path(source_uri)
    path = Path(location)
    check_local_path(path, thing=f"source {source_uri!r}", error_class=IngestionError)
    if path.is_dir():
        check_local_folder(path, thing=f"source {source_uri!r}", error_class=IngestionError)
        paths = [file for file in path.rglob("*") if file.is_file() and counts_as_data(file.relative_to(path).parts)]
        if not paths:
            raise IngestionError(
                f"source {source_uri!r}: the folder contains no data files. Expected files named {', '.join(DATA_SUFFIXES)}, or without a suffix."
            )
    elif path.is_file():
        paths = [path]
    elif any(mark in location for mark in GLOB_MARKS):
        paths = [Path(name) for name in glob.glob(location, recursive=True) if Path(name).is_file()]  # noqa: PTH207  # Path.glob rejects absolute patterns
        if not paths:
            raise IngestionError(f"source {source_uri!r}: no file matches this pattern. Check the path; it is resolved where the step runs.")
    else:
        raise IngestionError(f"source {source_uri!r}: no such file or folder. Check the path; it is resolved where the step runs.")
    paths.sort()
    return with_hive_partitions([describe_file(file) for file in paths], [file.as_posix() for file in paths])


def local_path(source_uri: str) -> str:
    """Return the path that a source URI refers to.

    Raises:
        IngestionError: The URI is empty.
    """
    if not source_uri.strip():
        raise IngestionError("source_uri is empty: expected a file, a folder or a glob of Parquet, CSV or JSON Lines files.")
    if not source_uri.lower().startswith("file://"):
        return source_uri
    # Not urlsplit(...).path of the raw text, because "?" is a glob character here, not the start of a query.
    return unquote(urlsplit(source_uri.replace("?", "%3F").replace("#", "%23")).path)


def counts_as_data(parts: Sequence[str]) -> bool:
    """Return whether a file in a folder is a data file, based on its path below that folder."""
    name = parts[-1].lower()
    if any(part.startswith((".", "_")) for part in parts):
        return False
    return "." not in name or name.endswith(DATA_SUFFIXES)


def version_of(status: os.stat_result) -> str:
    """Return a version that changes with the content of a local file."""
    return str(status.st_mtime_ns)


def describe_file(path: Path, *, uri: str = "", version: str = "") -> SourceFile:
    """Detect the format of a file from its first bytes.

    Args:
        path: Local path of the file.
        uri: Origin of the file. Defaults to the file's own URI.
        version: Version at the origin. Defaults to the modification time.

    Raises:
        IngestionError: The file is empty, leads to secrets, or is not Parquet, or CSV or JSON Lines in UTF-8.
    """
    shown = uri or str(path)
    # A folder, a glob or a repository may contain a link to anywhere.
    check_local_path(path, thing=f"source file {shown}", error_class=IngestionError)
    try:
        status = path.stat()
        with path.open("rb") as content:
            start = content.read(SAMPLE_BYTES)
    except OSError as error:
        raise IngestionError(f"source file {shown}: cannot be read: {error}. Check the file's permissions.") from error
    if not start:
        raise IngestionError(f"source file {shown}: is empty (0 bytes); expected Parquet, CSV or JSON Lines. Remove it or rewrite it.")
    kind, delimiter = recognise_format(start, shown)
    return SourceFile(path, uri or path.absolute().as_uri(), kind, status.st_size, version or version_of(status), delimiter)
