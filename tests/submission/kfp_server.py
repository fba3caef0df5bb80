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
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import kfp_server_api as api

from submission.kfp_models import Body, fill_in, matches, told
from submission.kfp_refusals import RefusedError, no_run
from submission.kfp_routes import BY_HAND, ROUTES
from submission.kfp_runs import NEVER, Script, WorkflowNodes


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

    def answer(self, method: str, path: str, query: dict[str, str], body: Body, *, authorization: str | None) -> Any:
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
            fill_in(entry)
        found = [entry for entry in entries.values() if matches(entry, query.get("filter"))]
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
        fill_in(run)
        answer = told(run)
        answer["run_details"] = {"task_details": self.workflows[run_id].tasks(run_id, ended=ended)}
        return answer

    def log_of(self, run_id: str, pod: str) -> str:
        """Return the log of a pod: that of the one that fails, while it is kept."""
        workflow = self.workflows.get(run_id)
        if workflow is None:
            raise RefusedError(500, f"Failed to read run log: Run {run_id} not found", by_hand=True)
        if self.script.log is None or pod != workflow.failing_pod:
            raise RefusedError(500, f'Failed to read run log: pods "{pod}" not found', by_hand=True)
        return self.script.log


class _Handler(BaseHTTPRequestHandler):
    kfp: KfpServer
    protocol_version = "HTTP/1.1"

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            answered = self.kfp.answer(
                self.command, parts.path, query, Body(body, self.headers.get("Content-Type", "")), authorization=self.headers.get("Authorization")
            )
            # A log is text.
            kind = "text/plain" if isinstance(answered, str) else "application/json"
            status, encoded = 200, answered.encode() if isinstance(answered, str) else json.dumps(told(answered)).encode()
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
