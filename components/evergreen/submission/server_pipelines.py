"""Pipelines and their versions on the server: find them, upload new ones, and read their parameters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evergreen.submission.connection import REQUEST_TIMEOUT_S
from evergreen.submission.errors import SubmissionError
from evergreen.version import __version__

if TYPE_CHECKING:
    from kfp.dsl.yaml_component import YamlComponent

    from evergreen.submission.connection import Connection


@dataclass(frozen=True)
class Version:
    """A version of a pipeline on the server.

    Attributes:
        pipeline_id: ID of the pipeline.
        version_id: ID of the version.
        name: Name of the version.
        uploaded: Whether it was newly uploaded.
    """

    pipeline_id: str
    version_id: str
    name: str
    uploaded: bool = False


def equals(key: str, value: str) -> str:
    """Return a KFP list filter: a field equals a value. Some servers ignore case."""
    return _filter("EQUALS", key, value)


def contains(key: str, value: str) -> str:
    """Return a KFP list filter: a field contains a text."""
    return _filter("IS_SUBSTRING", key, value)


def _filter(operation: str, key: str, value: str) -> str:
    text = json.dumps({"predicates": [{"operation": operation, "key": key, "stringValue": value}]})
    # The server decodes filters twice: without this, a plus would become a space, and a percent sign the start of an escape.
    return text.replace("%", "%25").replace("+", "%2B")


def pages(listed: Callable[..., Any], field: str, **arguments: Any) -> Iterator[Any]:
    """Yield the entries of a paginated API list."""
    token = ""
    while True:
        answer = listed(page_size=100, page_token=token, _request_timeout=REQUEST_TIMEOUT_S, **arguments)
        yield from getattr(answer, field) or []
        token = answer.next_page_token or ""
        if not token:
            return


def in_namespace(connection: Connection) -> dict[str, str]:
    """Return the additional list argument for multi-user mode."""
    return {"namespace": connection.namespace} if connection.namespace else {}


def find_pipeline(connection: Connection, name: str) -> str | None:
    """Return the ID of the pipeline with a name, or None."""
    with connection.speaking(f"looking for pipeline {name!r}"):
        listed = pages(connection.pipelines.pipeline_service_list_pipelines, "pipelines", filter=equals("display_name", name), **in_namespace(connection))
        found = _named(list(listed), name)
    return str(found.pipeline_id) if found else None


def _named(found: list[Any], name: str) -> Any:
    """Return the entry with exactly this name, or else the one the server considers equal, because it would not create another."""
    return next((entry for entry in found if entry.display_name == name), found[0] if found else None)


def require_pipeline(connection: Connection, name: str) -> str:
    """Return the ID of the pipeline with a name.

    Raises:
        SubmissionError: The pipeline does not exist.
    """
    found = find_pipeline(connection, name)
    if found is None:
        raise SubmissionError(f"Unknown pipeline {name!r} in Kubeflow Pipelines at {connection.host}. Upload it first with: evergreen submit")
    return found


def find_version(connection: Connection, pipeline_id: str, name: str = "latest") -> Any:
    """Return the version with a name, or the newest one.

    Raises:
        SubmissionError: The version does not exist.
    """
    with connection.speaking("looking for the pipeline's versions"):
        newest_first = pages(
            connection.pipelines.pipeline_service_list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id, sort_by="created_at desc"
        )
        for version in newest_first:
            if name in {"latest", version.display_name, version.pipeline_version_id}:
                return version
    raise SubmissionError(f"Unknown version {name!r}. The KFP UI lists the pipeline's versions; 'latest' is the newest.")


def pipeline_of_version(version: Any) -> YamlComponent:
    """Return the pipeline of a version on the server, so that its parameters can be checked."""
    from kfp import components

    held = version.pipeline_spec or {}
    return components.load_component_from_text(yaml.safe_dump(held.get("pipeline_spec", held)))


def version_name(compiled: Path) -> str:
    """Name a version after the release and a content hash, so that identical pipelines get the same version."""
    return f"{__version__}-{hashlib.sha256(compiled.read_bytes()).hexdigest()[:10]}"


def upload_version(connection: Connection, compiled: Path, *, pipeline_name: str, name: str, tags: Mapping[str, str]) -> Version:
    """Upload a compiled pipeline as a new version, unless the pipeline already has a version with this name.

    Args:
        connection: The connection to the server.
        compiled: The compiled YAML file.
        pipeline_name: Name of the pipeline; created if missing.
        name: Name of the version.
        tags: Tags stored with the version.
    """
    import kfp_server_api

    pipeline_id = find_pipeline(connection, pipeline_name)
    with connection.speaking(f"uploading version {name!r} of pipeline {pipeline_name!r}"):
        if pipeline_id is None:
            wanted = kfp_server_api.V2beta1Pipeline(display_name=pipeline_name, namespace=connection.namespace)
            pipeline_id = str(connection.pipelines.pipeline_service_create_pipeline(pipeline=wanted, _request_timeout=REQUEST_TIMEOUT_S).pipeline_id)
        for found in pages(connection.pipelines.pipeline_service_list_pipeline_versions, "pipeline_versions", pipeline_id=pipeline_id):
            if found.display_name == name:
                return Version(pipeline_id=pipeline_id, version_id=str(found.pipeline_version_id), name=name)
        given = {"tags": json.dumps(dict(tags))} if tags else {}
        made = connection.uploads.upload_pipeline_version(str(compiled), name=name, pipelineid=pipeline_id, _request_timeout=REQUEST_TIMEOUT_S, **given)
    return Version(pipeline_id=pipeline_id, version_id=str(made.pipeline_version_id), name=name, uploaded=True)


def experiment_id(connection: Connection, name: str) -> str:
    """Return the ID of an experiment, creating it if missing."""
    import kfp_server_api

    with connection.speaking(f"looking for experiment {name!r}"):
        listed = pages(
            connection.experiments.experiment_service_list_experiments, "experiments", filter=equals("display_name", name), **in_namespace(connection)
        )
        found = _named(list(listed), name)
        if found:
            return str(found.experiment_id)
        wanted = kfp_server_api.V2beta1Experiment(display_name=name, namespace=connection.namespace)
        return str(connection.experiments.experiment_service_create_experiment(experiment=wanted, _request_timeout=REQUEST_TIMEOUT_S).experiment_id)
