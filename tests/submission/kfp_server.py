"""A Kubeflow Pipelines API that lives as long as a test.

It is made of KFP's own description of its v2beta1 API, as ``kfp_server_api`` was generated from it: requests are refused unless every field is
one of the described model and has its type. The paths are checked against the generated client too, and the shape of the answers against
recordings of a real server. Runs do what a test's script says.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit

import kfp_server_api as api
import yaml

from submission.kfp_refusals import RefusedError, check_tags, no_pipeline, no_run, no_schedule
from submission.kfp_runs import NEVER, Script, WorkflowNodes, text_of

PREFIX = "/apis/v2beta1"
LOG_PATH = "/apis/v1alpha1/runs/{run_id}/nodes/{node_id}/log"


PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "int": int, "bool": bool, "float": (int, float)}


def check_fields(body: Any, kind: str) -> None:
    """Refuse what the described model does not know: another name or another type."""
    if kind == "object":
        return
    if listed := re.match(r"(list\[|dict\(str, )(.*)[\])]$", kind):
        for value in body.values() if isinstance(body, dict) else body:
            check_fields(value, listed[2])
    elif kind in PLAIN:
        if not isinstance(body, PLAIN[kind]):
            raise RefusedError(400, f"expected {kind}, found {body!r}")
    elif kind == "datetime":
        datetime.fromisoformat(body.replace("Z", "+00:00"))
    else:
        _check_model(body, kind)


def _check_model(body: Any, kind: str) -> None:
    model = getattr(api, kind)
    if not isinstance(body, dict):
        if body not in model.allowable_values:
            raise RefusedError(400, f"{body!r} is not one of {model.allowable_values}")
        return
    names = {given: own for own, given in model.attribute_map.items()}
    for name, value in body.items():
        if name not in names:
            raise RefusedError(400, f"{kind} has no field {name!r}")
        check_fields(value, model.openapi_types[names[name]])


class KfpServer:
    """The server and what it holds.

    Attributes:
        pipelines, versions, experiments, runs, schedules: Models by id.
        token: When set, requests without it are refused.
        script: What the next runs do.
        version: What the server says its version is.
        requests: Method and path of everything that was asked.
        failures: Path prefix and number of the next requests to it that answer 503.
    """

    def __init__(self) -> None:
        self.pipelines: dict[str, Any] = {}
        self.versions: dict[str, Any] = {}
        self.experiments: dict[str, Any] = {}
        self.runs: dict[str, Any] = {}
        self.schedules: dict[str, Any] = {}
        self.token: str | None = None
        self.script = Script()
        self.version = "2.17.0"
        self.requests: list[tuple[str, str]] = []
        self.failures: dict[str, int] = {}
        self.workflows: dict[str, WorkflowNodes] = {}
        self._looks: dict[str, int] = {}
        self._lock = threading.Lock()
        self._clock = datetime(2026, 1, 1, tzinfo=timezone.utc)
        handler = type("Handler", (_Handler,), {"kfp": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._http.daemon_threads = True
        self.host = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> KfpServer:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=10)

    def now(self) -> datetime:
        """Return a time that is later than every one before."""
        self._clock += timedelta(seconds=1)
        return self._clock

    def answer(self, method: str, path: str, query: dict[str, str], body: _Body, *, authorization: str | None) -> Any:
        """Return the model that answers a request."""
        with self._lock:
            self.requests.append((method, path))
            for prefix, count in self.failures.items():
                if path.startswith(prefix) and count > 0:
                    self.failures[prefix] = count - 1
                    raise RefusedError(503, "the server is starting")
            if self.token is not None and authorization != f"Bearer {self.token}":
                raise RefusedError(401, "no")
            for wanted, pattern, action in [*ROUTES, *BY_HAND]:
                found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/:]+)", pattern), path)
                if found and wanted == method:
                    return action(self, {name: unquote(value) for name, value in found.groupdict().items()}, query, body)
            raise RefusedError(404, f"no such path: {method} {path}")

    def listed(self, entries: dict[str, Any], query: dict[str, str], field: str, answer: Any) -> Any:
        """Return a page of a list, filtered and sorted as the query says."""
        for entry in entries.values():
            _fill_in(entry)
        found = [entry for entry in entries.values() if _matches(entry, query.get("filter"))]
        if query.get("sort_by", "").startswith("created_at"):
            found.sort(key=lambda entry: entry.created_at, reverse=query["sort_by"].endswith("desc"))
        start, size = int(query.get("page_token") or 0), int(query.get("page_size") or 10)
        following = str(start + size) if start + size < len(found) else None
        # What is empty or zero is left out.
        return answer(**{field: found[start : start + size] or None}, total_size=len(found) or None, next_page_token=following)

    def run_from(self, wanted: Any) -> Any:
        """Make a run, or refuse one whose version is not there."""
        reference = wanted.pipeline_version_reference
        version = self.versions.get(reference.pipeline_version_id or "")
        if reference.pipeline_version_id and version is None:
            raise RefusedError(404, "Pipeline version not found")
        wanted.run_id, wanted.state, wanted.created_at = str(uuid.uuid4()), "PENDING", self.now()
        wanted.service_account = wanted.service_account or "pipeline-runner"
        self.runs[wanted.run_id] = wanted
        if version is not None:
            spec = version.pipeline_spec.get("pipeline_spec", version.pipeline_spec)
            name = f"{spec['pipelineInfo']['name']}-{wanted.run_id[:5]}"
            self.workflows[wanted.run_id] = WorkflowNodes(name, spec, self.script, wanted.created_at)
        return wanted

    def look_at(self, run_id: str) -> Any:
        """Return a run; it goes on by one state each time that somebody looks."""
        run = self.runs.get(run_id)
        if run is None:
            raise no_run(run_id)
        looks = self._looks[run_id] = self._looks.get(run_id, 0) + 1
        ended = looks >= 3
        states = ["PENDING", "RUNNING"]
        if ended and self.script.outcome == "TERMINATED":
            states += ["CANCELING"]
        if ended:
            states += ["FAILED" if self.script.outcome == "TERMINATED" else self.script.outcome]
        # A run that failed has no error of its own: its steps have.
        run.state = states[-1]
        run.state_history = [api.V2beta1RuntimeStatus(update_time=run.created_at, state=state) for state in states]
        run.finished_at = self._clock if ended else NEVER
        _fill_in(run)
        told = _told(run)
        told["run_details"] = {"task_details": self.workflows[run_id].tasks(run_id, ended=ended)}
        return told

    def log_of(self, run_id: str, pod: str) -> str:
        """Return the log of a pod: that of the one that fails, while it is kept."""
        workflow = self.workflows.get(run_id)
        if workflow is None:
            raise RefusedError(500, f"Failed to read run log: Run {run_id} not found", by_hand=True)
        if self.script.log is None or pod != workflow.failing_pod:
            raise RefusedError(500, f'Failed to read run log: pods "{pod}" not found', by_hand=True)
        return self.script.log


class _Body:
    """What came with a request."""

    def __init__(self, content: bytes, content_type: str) -> None:
        self._content = content
        self._content_type = content_type

    def model(self, kind: str) -> Any:
        fields = json.loads(self._content)
        check_fields(fields, kind)
        return api.ApiClient().deserialize(type("Response", (), {"data": json.dumps(fields)}), kind)

    def file(self) -> str:
        message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {self._content_type}\r\n\r\n".encode() + self._content)
        part = next(part for part in message.iter_parts() if part.get_param("name", header="content-disposition") == "uploadfile")
        return part.get_payload(decode=True).decode()


def _fill_in(entry: Any) -> None:
    """Give an entry the fields that a real server tells of it without being asked."""
    if isinstance(entry, api.V2beta1Run):
        entry.storage_state = entry.storage_state or "AVAILABLE"
        entry.scheduled_at = entry.scheduled_at or entry.created_at
        entry.finished_at = entry.finished_at or NEVER
        entry.state_history = entry.state_history or [api.V2beta1RuntimeStatus(update_time=entry.created_at, state=entry.state)]
    elif isinstance(entry, api.V2beta1Experiment):
        entry.storage_state = entry.storage_state or "AVAILABLE"
        entry.last_run_created_at = entry.last_run_created_at or NEVER
    elif isinstance(entry, api.V2beta1RecurringRun):
        entry.updated_at = entry.updated_at or entry.created_at
        entry.namespace = entry.namespace or "kubeflow"
        entry.mode = entry.status.removesuffix("D")
    elif isinstance(entry, api.V2beta1Pipeline):
        entry.name = entry.name or entry.display_name
        entry.namespace = entry.namespace or "kubeflow"


def _matches(entry: Any, filter_text: str | None) -> bool:
    if not filter_text:
        return True
    # A real server decodes a filter once more than other arguments.
    for predicate in json.loads(unquote_plus(filter_text))["predicates"]:
        if predicate["operation"] not in {"EQUALS", "IS_SUBSTRING"} or set(predicate) != {"operation", "key", "stringValue"}:
            raise RefusedError(400, f"predicate {predicate} is not understood")
        held, wanted = str(getattr(entry, predicate["key"]) or "").lower(), predicate["stringValue"].lower()
        if not (held == wanted if predicate["operation"] == "EQUALS" else wanted in held):
            return False
    return True


def _create_pipeline(server: KfpServer, _names: dict[str, str], _query: dict[str, str], body: _Body) -> Any:
    pipeline = body.model("V2beta1Pipeline")
    if any(held.display_name == pipeline.display_name for held in server.pipelines.values()):
        raise RefusedError(409, "The name is taken")
    pipeline.pipeline_id, pipeline.created_at = str(uuid.uuid4()), server.now()
    return server.pipelines.setdefault(pipeline.pipeline_id, pipeline)


def _upload_version(server: KfpServer, _names: dict[str, str], query: dict[str, str], body: _Body) -> Any:
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


def _list_versions(server: KfpServer, names: dict[str, str], query: dict[str, str], _body: _Body) -> Any:
    held = {key: version for key, version in server.versions.items() if version.pipeline_id == names["pipeline_id"]}
    return server.listed(held, query, "pipeline_versions", api.V2beta1ListPipelineVersionsResponse)


def _create_experiment(server: KfpServer, _names: dict[str, str], _query: dict[str, str], body: _Body) -> Any:
    experiment = body.model("V2beta1Experiment")
    experiment.experiment_id, experiment.created_at = str(uuid.uuid4()), server.now()
    return server.experiments.setdefault(experiment.experiment_id, experiment)


def _create_schedule(server: KfpServer, _names: dict[str, str], _query: dict[str, str], body: _Body) -> Any:
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
    def switch(server: KfpServer, names: dict[str, str], _query: dict[str, str], _body: _Body) -> Any:
        if names["recurring_run_id"] not in server.schedules:
            raise no_schedule(names["recurring_run_id"])
        server.schedules[names["recurring_run_id"]].status = status
        return {}

    return switch


def _delete_schedule(server: KfpServer, names: dict[str, str], _query: dict[str, str], _body: _Body) -> Any:
    if server.schedules.pop(names["recurring_run_id"], None) is None:
        raise no_schedule(names["recurring_run_id"])
    return {}


def _get(held: str, refusal: Callable[[str], RefusedError]) -> Callable[..., Any]:
    def get(server: KfpServer, names: dict[str, str], _query: dict[str, str], _body: _Body) -> Any:
        (wanted,) = names.values()
        if wanted not in getattr(server, held):
            raise refusal(wanted)
        entry = getattr(server, held)[wanted]
        _fill_in(entry)
        return entry

    return get


def _health(server: KfpServer, _names: dict[str, str], _query: dict[str, str], _body: _Body) -> Any:
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


def _told(answered: Any) -> Any:
    """Return an answer as a real server writes it: without fields that have no value, with times that end in Z."""
    if isinstance(answered, dict):
        return {name: _told(value) for name, value in answered.items() if value is not None}
    if isinstance(answered, list):
        return [_told(value) for value in answered]
    if isinstance(answered, datetime):
        return text_of(answered)
    if hasattr(answered, "openapi_types"):
        return _told({answered.attribute_map[name]: getattr(answered, name) for name in answered.openapi_types})
    return answered


class _Handler(BaseHTTPRequestHandler):
    kfp: KfpServer
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answered = self.kfp.answer(
                self.command, parts.path, query, _Body(body, self.headers.get("Content-Type", "")), authorization=self.headers.get("Authorization")
            )
            # A log is text.
            kind = "text/plain" if isinstance(answered, str) else "application/json"
            status, encoded = 200, answered.encode() if isinstance(answered, str) else json.dumps(_told(answered)).encode()
        except RefusedError as refused:
            kind, status, encoded = "application/json", refused.status, json.dumps(refused.body()).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    do_GET = do_POST = do_DELETE = _handle  # noqa: N815  # http.server calls these names

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""
