"""The paths of the tests' KFP, and what is done at each."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import kfp_server_api as api
import yaml

from submission.kfp_models import Body, fill_in
from submission.kfp_refusals import RefusedError, check_tags, no_pipeline, no_schedule

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer

PREFIX = "/apis/v2beta1"
LOG_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"


def _create_pipeline(server: KfpServer, _names: dict[str, str], _query: dict[str, str], body: Body) -> Any:
    pipeline = body.model("V2beta1Pipeline")
    if any(held.display_name == pipeline.display_name for held in server.pipelines.values()):
        raise RefusedError(409, "The name is taken")
    pipeline.pipeline_id, pipeline.created_at = str(uuid.uuid4()), server.now()
    return server.pipelines.setdefault(pipeline.pipeline_id, pipeline)


def _upload_version(server: KfpServer, _names: dict[str, str], query: dict[str, str], body: Body) -> Any:
    unknown = set(query) - {"name", "display_name", "pipelineid", "description", "tags"}
    if unknown or query["pipelineid"] not in server.pipelines:
        raise RefusedError(400, "Failed to create a pipeline version", by_hand=True)
    check_tags(json.loads(query.get("tags", "{}")))
    documents = list(yaml.safe_load_all(body.file()))
    spec = {"pipeline_spec": documents[0], "platform_spec": documents[1]} if len(documents) > 1 else documents[0]
    version = api.V2beta1PipelineVersion(
        pipeline_id=query["pipelineid"],
        pipeline_version_id=str(uuid.uuid4()),
        display_name=query["name"],
        name=query["name"],
        created_at=server.now(),
        pipeline_spec=spec,
        tags=json.loads(query.get("tags", "{}")),
    )
    server.versions[version.pipeline_version_id] = version
    return version


def _list_versions(server: KfpServer, names: dict[str, str], query: dict[str, str], _body: Body) -> Any:
    held = {key: version for key, version in server.versions.items() if version.pipeline_id == names["pipeline_id"]}
    return server.listed(held, query, "pipeline_versions", api.V2beta1ListPipelineVersionsResponse)


def _create_experiment(server: KfpServer, _names: dict[str, str], _query: dict[str, str], body: Body) -> Any:
    experiment = body.model("V2beta1Experiment")
    experiment.experiment_id, experiment.created_at = str(uuid.uuid4()), server.now()
    return server.experiments.setdefault(experiment.experiment_id, experiment)


def _create_schedule(server: KfpServer, _names: dict[str, str], _query: dict[str, str], body: Body) -> Any:
    schedule = body.model("V2beta1RecurringRun")
    if len(schedule.trigger.cron_schedule.cron.split()) != 6 or schedule.mode not in {"ENABLE", "DISABLE"} or not 1 <= int(schedule.max_concurrency) <= 10:
        raise RefusedError(400, "Invalid recurring run")
    if schedule.pipeline_version_reference.pipeline_id not in server.pipelines or schedule.experiment_id not in server.experiments:
        raise RefusedError(404, "Pipeline or experiment not found")
    schedule.recurring_run_id, schedule.created_at = str(uuid.uuid4()), server.now()
    schedule.status = f"{schedule.mode}D"
    # A real server says which service account it took.
    schedule.service_account = schedule.service_account or "pipeline-runner"
    return server.schedules.setdefault(schedule.recurring_run_id, schedule)


def _switch(status: str) -> Callable[..., Any]:
    def switch(server: KfpServer, names: dict[str, str], _query: dict[str, str], _body: Body) -> Any:
        if names["recurring_run_id"] not in server.schedules:
            raise no_schedule(names["recurring_run_id"])
        server.schedules[names["recurring_run_id"]].status = status
        return {}

    return switch


def _delete_schedule(server: KfpServer, names: dict[str, str], _query: dict[str, str], _body: Body) -> Any:
    if server.schedules.pop(names["recurring_run_id"], None) is None:
        raise no_schedule(names["recurring_run_id"])
    return {}


def _get(held: str, refusal: Callable[[str], RefusedError]) -> Callable[..., Any]:
    def get(server: KfpServer, names: dict[str, str], _query: dict[str, str], _body: Body) -> Any:
        (wanted,) = names.values()
        if wanted not in getattr(server, held):
            raise refusal(wanted)
        entry = getattr(server, held)[wanted]
        fill_in(entry)
        return entry

    return get


def _health(server: KfpServer, _names: dict[str, str], _query: dict[str, str], _body: Body) -> Any:
    return {"commit_sha": "unknown", "tag_name": server.version, "multi_user": False, "pipeline_store": "database"}


ROUTES: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", f"{PREFIX}/healthz", _health),
    ("POST", f"{PREFIX}/pipelines", _create_pipeline),
    ("GET", f"{PREFIX}/pipelines", lambda server, _names, query, _body: server.listed(server.pipelines, query, "pipelines", api.V2beta1ListPipelinesResponse)),
    ("POST", f"{PREFIX}/pipelines/upload_version", _upload_version),
    ("GET", f"{PREFIX}/pipelines/{{pipeline_id}}", _get("pipelines", no_pipeline)),
    ("GET", f"{PREFIX}/pipelines/{{pipeline_id}}/versions", _list_versions),
    ("POST", f"{PREFIX}/experiments", _create_experiment),
    (
        "GET",
        f"{PREFIX}/experiments",
        lambda server, _names, query, _body: server.listed(server.experiments, query, "experiments", api.V2beta1ListExperimentsResponse),
    ),
    ("POST", f"{PREFIX}/runs", lambda server, _names, _query, body: server.run_from(body.model("V2beta1Run"))),
    ("GET", f"{PREFIX}/runs", lambda server, _names, query, _body: server.listed(server.runs, query, "runs", api.V2beta1ListRunsResponse)),
    ("GET", f"{PREFIX}/runs/{{run_id}}", lambda server, names, _query, _body: server.look_at(names["run_id"])),
    ("POST", f"{PREFIX}/recurringruns", _create_schedule),
    (
        "GET",
        f"{PREFIX}/recurringruns",
        lambda server, _names, query, _body: server.listed(server.schedules, query, "recurring_runs", api.V2beta1ListRecurringRunsResponse),
    ),
    ("GET", f"{PREFIX}/recurringruns/{{recurring_run_id}}", _get("schedules", no_schedule)),
    ("POST", f"{PREFIX}/recurringruns/{{recurring_run_id}}:disable", _switch("DISABLED")),
    ("POST", f"{PREFIX}/recurringruns/{{recurring_run_id}}:enable", _switch("ENABLED")),
    ("DELETE", f"{PREFIX}/recurringruns/{{recurring_run_id}}", _delete_schedule),
]

BY_HAND: list[tuple[str, str, Callable[..., Any]]] = [
    ("GET", LOG_PATH, lambda server, names, _query, _body: server.log_of(names["run_id"], names["node_id"])),
]
"""Paths that the description does not know, and the server has all the same."""
