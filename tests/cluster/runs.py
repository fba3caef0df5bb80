"""Runs on the cluster: started as a person starts them, and read where a person would look."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

from cluster.kubectl import Kubectl, wait_for
from cluster.parameters import RUNS, Started, common_to
from cluster.settings import ROOT, ClusterSettings
from cluster.workflows import Workflow
from evergreen.pipeline.loading import read_parameter_file
from evergreen.registry.ledger import Ledger
from evergreen.reporting.summary import RunSummary, summarise_run
from evergreen.runs.records import StepRecord, read_run
from evergreen.storage.opening import open_store

if TYPE_CHECKING:
    from evergreen.storage.base import ObjectStore
    from evergreen.submission.connection import Connection

EVERGREEN = str(Path(sys.executable).parent / "evergreen")
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"})
LONGEST_RUN_S = 1200.0
STARTED = re.compile(r"Started run (\S+)")


@dataclass
class Run:
    """A run on the cluster.

    Attributes:
        name: What the suite calls it.
        run_id: KFP's id.
        pipeline: Name of the file in ``pipelines/``.
        model: Its registered model.
        state: How it ended, in KFP's words; empty before.
        seconds: From its start to its end.
        workflow: As it was when the run had ended.
        said: What ``evergreen submit --json`` printed; nothing for a run that something else started.
        printed: What ``evergreen submit`` told the person meanwhile.
        created_at: When KFP made it, UTC.
        scheduled_at: When it was scheduled for, UTC.
    """

    name: str
    run_id: str
    pipeline: str
    model: str
    state: str = ""
    seconds: float | None = None
    workflow: Workflow | None = None
    said: dict[str, Any] = field(default_factory=dict)
    printed: str = ""
    created_at: datetime | None = None
    scheduled_at: datetime | None = None

    @property
    def ended_workflow(self) -> Workflow:
        """Return the Workflow of a run that has ended."""
        assert self.workflow is not None, f"{self.name}: the run has not ended"
        return self.workflow


@dataclass
class _Submission:
    """``evergreen submit`` while it follows a run."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    def run_id(self) -> str | None:
        found = STARTED.search(self.stderr.read_text(errors="replace"))
        if found is None and self.process.poll() is not None:
            raise AssertionError(f"evergreen submit ended with {self.process.returncode}: {self.stderr.read_text(errors='replace')}")
        return found[1] if found else None


class Cluster:
    """Kubeflow Pipelines, and the runs that this session has started on it."""

    def __init__(self, settings: ClusterSettings, connection: Connection, folder: Path) -> None:
        """Start with no runs; every session has models of its own."""
        self.settings, self.connection, self.folder = settings, connection, folder
        self.kubectl = Kubectl(settings.namespace)
        self.mark = uuid.uuid4().hex[:8]
        self.runs: list[Run] = []
        self.shared = read_parameter_file(settings.parameter_file)
        self._compiled: dict[str, Path] = {}
        self._following: dict[str, _Submission] = {}

    # --- starting

    def model(self, kind: str) -> str:
        """Return the name of one of this session's models."""
        return f"evergreen-{kind}-{self.mark}"

    def compiled(self, pipeline: str) -> Path:
        """Return a pipeline, compiled for this cluster."""
        if pipeline not in self._compiled:
            self._compiled[pipeline] = self.compile(ROOT / "pipelines" / f"{pipeline}.py", self.folder / f"{pipeline}.yaml")
        return self._compiled[pipeline]

    def compile(self, source: Path, target: Path, *more: str) -> Path:
        """Compile a pipeline's file for this cluster."""
        self.evergreen(*compile_command(self.settings, source, target), *more)
        return target

    def parameters(self, name: str, model: str, **more: Any) -> dict[str, Any]:
        """Return the parameters of one of the suite's runs: the shared ones that its pipeline has, and its own."""
        started = RUNS[name]
        return run_parameters(started, self.compiled(started.pipeline), {**self.shared, "model_name": model}, more)

    def start(self, name: str, model: str, **more: Any) -> Run:
        """Start one of the suite's runs with ``evergreen submit``, which follows it."""
        folder = self.folder / f"{name.replace(' ', '-')}-{len(self.runs)}"
        folder.mkdir()
        pipeline = RUNS[name].pipeline
        parameter_file = folder / "parameters.yaml"
        parameter_file.write_text(yaml.safe_dump(self.parameters(name, model, **more)))
        command = submit_command(self.settings, self.compiled(pipeline), parameter_file, name=f"{name} {self.mark}")
        submission = _Submission(_started([EVERGREEN, *command], folder), folder / "stdout", folder / "stderr")
        run = self.adopt(name, wait_for(f"{name}: the start of the run", submission.run_id, timeout_s=180, pause_s=0.5), pipeline, model)
        self._following[run.run_id] = submission
        return run

    def adopt(self, name: str, run_id: str, pipeline: str, model: str) -> Run:
        """Take in a run that a schedule or an event has started."""
        run = Run(name, run_id, pipeline, model)
        self.runs.append(run)
        return run

    # --- ending

    def finish(self, run: Run, *, expected: str = "SUCCEEDED") -> Run:
        """Wait until a run has ended, and see that it ended so."""
        submission = self._following.pop(run.run_id, None)
        if submission is not None:
            submission.process.wait(timeout=LONGEST_RUN_S)
            run.printed = submission.stderr.read_text(errors="replace")
            answered = submission.stdout.read_text().strip().splitlines()
            run.said = json.loads(answered[-1]) if answered else {}
        found = wait_for(f"{run.name}: the end of the run", lambda: self._ended(run), timeout_s=LONGEST_RUN_S, pause_s=3)
        run.state, run.created_at, run.scheduled_at = str(found.state), _utc(found.created_at), _utc(found.scheduled_at)
        finished_at = _utc(found.finished_at)
        run.seconds = (finished_at - run.created_at).total_seconds() if finished_at and run.created_at else None
        run.workflow = wait_for(f"{run.name}: the end of its Workflow", lambda: self._ended_workflow(run), timeout_s=120)
        assert run.state == expected, f"{run.name}: the run ended as {run.state}, not as {expected}.\n{run.printed}\n{self.last_words(run)}"
        return run

    def run(self, name: str, model: str, **more: Any) -> Run:
        """Start one of the suite's runs, and see it succeed."""
        return self.finish(self.start(name, model, **more))

    def terminate(self, run: Run) -> None:
        """Stop a run as the button of the KFP UI does."""
        self.connection.runs.run_service_terminate_run(run_id=run.run_id)

    def stop_everything(self) -> None:
        """End what the session has left behind: commands that follow runs, and the runs themselves."""
        for run_id, submission in self._following.items():
            submission.process.terminate()
            submission.process.wait(timeout=60)
            self.connection.runs.run_service_terminate_run(run_id=run_id)

    def _ended(self, run: Run) -> Any:
        with self.connection.speaking(f"asking for run {run.run_id}"):
            found = self.connection.runs.run_service_get_run(run_id=run.run_id)
        return found if found.state in ENDED else None

    def _ended_workflow(self, run: Run) -> Workflow | None:
        found = self.kubectl.get("workflows.argoproj.io", "--selector", f"pipeline/runid={run.run_id}")["items"]
        assert found, f"{run.name}: its Workflow is gone; Kubernetes deletes it some time after the run's end (docs/cluster.md)"
        return Workflow(found[0]) if found[0].get("status", {}).get("finishedAt") else None

    # --- looking

    def pods(self, run: Run) -> list[dict[str, Any]]:
        """Return the pods of a run, as Kubernetes has them."""
        return list(self.kubectl.get("pods", "--selector", f"pipeline/runid={run.run_id}")["items"])

    def executors_at_work(self, run: Run, component: str = "evergreen.pipeline.executor") -> list[str]:
        """Return the names of the pods in which a step is running."""
        return [pod["metadata"]["name"] for pod in self.pods(run) if component in json.dumps(pod["spec"]) and _main_runs(pod)]

    def logs(self, run: Run) -> dict[str, str]:
        """Return what the pods of a run have printed, by the pod's name."""
        names = [pod["metadata"]["name"] for pod in self.pods(run)]
        return {name: self.kubectl.log(name) for name in names}

    def last_words(self, run: Run) -> str:
        """Return the ends of the logs of a run's pods that failed."""
        failed = [pod["metadata"]["name"] for pod in self.pods(run) if pod["status"].get("phase") == "Failed"]
        return "\n".join(f"--- {name}\n{self.kubectl.log(name)[-3000:]}" for name in failed)

    def ledger_folder(self) -> Path:
        """Return a copy of the ledger's folder, as it is now."""
        uri = str(self.shared["state_ledger_uri"])
        assert uri.startswith("/"), (
            f"state_ledger_uri {uri!r}: the suite reads the ledger through the pod {self.settings.files_pod}; give a folder of its volume"
        )
        return self.kubectl.fetch(self.settings.files_pod, uri, self.folder / f"ledger-{uuid.uuid4().hex[:8]}")

    def store(self) -> ObjectStore:
        """Return the ledger's store, as it is now."""
        return open_store(str(self.ledger_folder()))

    def records(self, run: Run) -> dict[str, StepRecord]:
        """Return what the steps of a run have recorded, by the step's name."""
        return {record.step_name: record for record in read_run(self.store(), run.run_id)}

    def summary(self, run: Run) -> RunSummary:
        """Return what a run did, as its own report says it."""
        return summarise_run(list(self.records(run).values()), run_id=run.run_id, model_name=run.model)

    def ledger(self, model: str) -> Ledger:
        """Return a model's ledger, as it is now."""
        return Ledger(self.store(), model)

    def evergreen(self, *arguments: str, status: int = 0) -> str:
        """Run a command of the command line, see it end so, and return all it printed."""
        finished = subprocess.run([EVERGREEN, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
        said = f"{finished.stdout}\n{finished.stderr}"
        assert finished.returncode == status, f"evergreen {' '.join(arguments)} ended with {finished.returncode}: {said}"
        return said


def compile_command(settings: ClusterSettings, source: Path, target: Path) -> list[str]:
    """Return the command that compiles a pipeline for the cluster."""
    registry = ["--image-registry", settings.image_registry] if settings.image_registry else []
    return ["compile", str(source), "--platform", str(settings.platform_file), "--output", str(target), *registry]


def submit_command(settings: ClusterSettings, compiled: Path, parameter_file: Path, *, name: str) -> list[str]:
    """Return the command that starts a run and follows it."""
    options = ["--params", str(parameter_file), "--run-name", name, "--service-account", settings.service_account, "--poll-seconds", "3", "--json"]
    return ["submit", str(compiled), *options]


def run_parameters(started: Started, compiled: Path, shared: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters of a run: the shared ones that its pipeline has, and its own."""
    spec = next(yaml.safe_load_all(compiled.read_text(encoding="utf-8")))
    known = set(spec["root"]["inputDefinitions"]["parameters"])
    return {**common_to(known, shared), **started.parameters, **more}


def _started(command: list[str], folder: Path) -> subprocess.Popen[bytes]:
    def opened(name: str) -> IO[bytes]:
        return (folder / name).open("wb")

    with opened("stdout") as stdout, opened("stderr") as stderr:
        return subprocess.Popen(command, cwd=ROOT, stdout=stdout, stderr=stderr)


def _utc(time: datetime | None) -> datetime | None:
    # KFP's API gives a time of long ago for "not yet".
    if time is None or time.year <= 1970:
        return None
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _main_runs(pod: dict[str, Any]) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any(status["name"] == "main" and "running" in status.get("state", {}) for status in statuses)
