"""Provides data as a local path for commands that read files, downloading it if necessary."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.sources.files import GLOB_MARKS, find_files, local_path
from evergreen.storage.local_paths import check_local_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

_DOWNLOADED = ("gs", "s3")


@contextmanager
def local_copy(data: str) -> Iterator[Path]:
    """Yield a local path of the data that is valid until the block ends.

    Args:
        data: File, folder or glob; ``file://``, ``gs://bucket/path``, ``s3://bucket/path`` or ``dvc+https://repository@revision#path``. Objects are
            downloaded as in ingestion: each in the version that was listed, with retries until the store recovers.

    Raises:
        IngestionError: The data cannot be read, or is a stream or a table, from which a window must be ingested first.
    """
    scheme = data.partition("://")[0].lower() if "://" in data else ""
    if scheme in ("", "file"):
        path = Path(local_path(data))
        check_local_folder(path, thing=f"data {data!r}", error_class=IngestionError)
        # The command's own reader reports a path that does not exist.
        if path.exists() or not any(mark in data for mark in GLOB_MARKS):
            yield path
            return
    import tempfile

    with tempfile.TemporaryDirectory(prefix="evergreen-data-") as folder:
        files = _files(data, scheme, Path(folder))
        yield files[0] if len(files) == 1 else _together(files, Path(folder) / "together")


def _files(data: str, scheme: str, folder: Path) -> list[Path]:
    if scheme in ("", "file"):
        return [file.path for file in find_files(data)]
    if scheme in _DOWNLOADED:
        from evergreen.ingestion.sources.opening import open_bucket_source

        return [path for _, path in open_bucket_source(data).download(folder)]
    if scheme.startswith("dvc+"):
        from evergreen.ingestion.sources.dvc import DvcSource

        return [file.path for file in DvcSource(data).download(folder).files]
    raise IngestionError(
        f"data {data!r}: expected a file, a folder or a glob, local or at gs://, s3:// or dvc+https://. For a stream or a table, ingest a window first "
        "and pass its file."
    )


def _together(files: list[Path], folder: Path) -> Path:
    """Return a folder of links to the files that keeps their order and their names' suffixes."""
    folder.mkdir()
    for index, file in enumerate(files):
        (folder / f"{index:06d}-{file.name}").symlink_to(file.absolute())
    return folder
