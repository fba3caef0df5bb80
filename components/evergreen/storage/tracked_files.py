"""Uploads and downloads of MLflow artifacts. Each file is retried on its own, so that many files pass even if the server fails now and then."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.storage.mlflow_service import mlflow_service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlflow import MlflowClient

    from evergreen.storage.retries.service import Service

FILES_AT_ONCE = 8


def download_files(location: str | None, folder: str, tracking_uri: str) -> Path:
    """Download all files at an MLflow artifact location into a new subfolder of the given folder.

    Args:
        location: The artifact location in MLflow's notation.
        folder: A folder on this machine.
        tracking_uri: The MLflow server.

    Raises:
        MlflowException: Access to the location is denied.
        OSError: There are no files at the location, or the files cannot be written.
        StateError: The server remains unavailable.
    """
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    service, target = mlflow_service(tracking_uri), tempfile.mkdtemp(dir=folder)
    with single_attempts():
        store = get_artifact_repository(location or "", tracking_uri=tracking_uri)
        names = list(_names(store, service, None))
        if not names:
            raise FileNotFoundError(f"no files found at {location}")
        _each(names, lambda name: service.call(partial(store.download_artifacts, name, dst_path=target)))
    return Path(target)


def upload_files(client: MlflowClient, service: Service, model_id: str, folder: Path, artifact_path: str | None) -> None:
    """Upload the files of a folder to a logged model, replacing files of the same name.

    Args:
        client: MLflow's own client.
        service: The server that calls wait for.
        model_id: The logged model.
        folder: A folder on this machine.
        artifact_path: Target path in the model's folder; None for the folder itself.
    """

    def upload(file: Path) -> None:
        place = "/".join(part for part in (artifact_path, file.parent.relative_to(folder).as_posix()) if part and part != ".")
        service.call(lambda: client.log_model_artifact(model_id, str(file), place or None))

    with single_attempts():
        _each(sorted(path for path in folder.rglob("*") if path.is_file()), upload)


@contextmanager
def single_attempts() -> Iterator[None]:
    """Limit the client that MLflow creates for S3 artifact stores to one attempt: its silent retries would multiply ours."""
    name = "AWS_MAX_ATTEMPTS"
    if name in os.environ:
        yield
        return
    os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)


def _names(store: Any, service: Service, path: str | None) -> Iterator[str]:
    for found in service.call(partial(store.list_artifacts, path)):
        if found.is_dir:
            yield from _names(store, service, found.path)
        else:
            yield found.path


def _each(things: Iterable[Any], action: Callable[[Any], Any]) -> None:
    with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
        try:
            for _ in pool.map(action, things):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
