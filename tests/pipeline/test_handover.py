"""A run on this machine hands over to steps what a real backend does."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evergreen.pipeline.handover import kept_metadata
from evergreen.pipeline.local_dag import LocalDag, LocalRunError, RunIdentity, Step
from pipeline.recordings import RECORDED_ROOT, recorded_inputs, recorded_pipelines

WRITTEN_AS_BOOLEANS = ("present", "alert")
"""Metadata that steps write as true or false; recordings show what came of it."""

RETRAINS = {"continuous_retraining, first run (trains, promotes)", "lean_retraining, first run"}


def pipeline_of(run: str) -> str:
    return "lean_retraining" if run.startswith("scheduled") else run.partition(",")[0]


def by_run() -> dict[str, list[dict[str, Any]]]:
    runs: dict[str, list[dict[str, Any]]] = {}
    for recorded in recorded_inputs():
        runs.setdefault(recorded["run"], []).append(recorded)
    return runs


def task_of(recorded: dict[str, Any]) -> str:
    return recorded["executor_input"]["outputs"]["outputFile"].split("/")[-3]


class Replay:
    """A recorded run, gone through again: each step that starts is compared with its recording, and leaves what the real one left."""

    def __init__(self, run: str, recordings: list[dict[str, Any]]) -> None:
        self.run = run
        self.recordings = recordings
        self.graph = recorded_pipelines()[pipeline_of(run)]
        self.compared: list[str] = []
        self.written = {artifact["uri"]: artifact["metadata"] for recorded in recordings for artifact in self._artifacts(recorded)}

    @staticmethod
    def _artifacts(recorded: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for listed in recorded["executor_input"]["inputs"].get("artifacts", {}).values():
            yield from listed["artifacts"]

    def arguments(self) -> dict[str, Any]:
        """What the pipeline was given, found where it arrived."""
        found: dict[str, Any] = {}
        for dag in self._dags():
            for name, task in dag["tasks"].items():
                for recorded in (recorded for recorded in self.recordings if task_of(recorded) == name):
                    for key, source in task["inputs"]["parameters"].items():
                        given = source.get("componentInputParameter", "").removeprefix("pipelinechannel--")
                        if given in self.graph["root"]["inputDefinitions"]["parameters"]:
                            found[given] = recorded["executor_input"]["inputs"]["parameterValues"][key]
        if pipeline_of(self.run) == "policy_backtest":
            found["policy_configs"] = [recorded["executor_input"]["inputs"]["parameterValues"].get("policy") for recorded in self.recordings[1:]]
        return found

    def _dags(self) -> Iterator[dict[str, Any]]:
        yield self.graph["root"]["dag"]
        yield from (component["dag"] for component in self.graph["components"].values() if "dag" in component)

    def play(self, root: Path) -> None:
        first = self.recordings[0]["executor_input"]["outputs"]["outputFile"].split("/")
        statuses = [recorded["executor_input"]["inputs"]["parameterValues"].get("status", {}) for recorded in self.recordings]
        job = next((status["pipelineJobResourceName"] for status in statuses if status), "unknown")
        identity = RunIdentity(first[5], root, first[6], job)
        try:
            LocalDag(self.graph, identity, self.launch).run(self.arguments())
        except LocalRunError:
            assert any(status.get("state") == "FAILED" for status in statuses)

    def launch(self, step: Step) -> int:
        recorded = self._recording(step)
        if recorded is not None:
            self.compared.append(f"{recorded['function']} {step.task_name}")
            assert comparable(step.executor_input) == comparable(recorded["executor_input"])
            if recorded["function"] == "ingest_data" and self.run.startswith("scheduled"):
                return 1  # no rows: the macro had not been expanded
        self._leave_outputs(step, recorded)
        return 0

    def _recording(self, step: Step) -> dict[str, Any] | None:
        given = step.executor_input["inputs"]["parameterValues"]
        same_task = [recorded for recorded in self.recordings if task_of(recorded) == step.task_name]
        for recorded in same_task:
            theirs = recorded["executor_input"]["inputs"]["parameterValues"]
            if all(given.get(key) == theirs.get(key) for key in ("shard", "policy")):
                return recorded
        assert not same_task, f"{step.task_name} got other parameters than any that was recorded: {given}"
        return None

    def _leave_outputs(self, step: Step, recorded: dict[str, Any] | None) -> None:
        artifacts = {}
        for name, listed in step.executor_input["outputs"]["artifacts"].items():
            if name != "executor-logs":
                uri = listed["artifacts"][0]["uri"]
                theirs = recorded["executor_input"]["outputs"]["artifacts"][name]["artifacts"][0]["uri"] if recorded else ""
                artifacts[name] = {"artifacts": [{"name": name, "uri": uri, "metadata": written_metadata(self.written.get(theirs, {}), name)}]}
        parameters = {"Output": self._answer(step)} if "parameters" in step.executor_input["outputs"] else {}
        Path(step.executor_input["outputs"]["outputFile"]).write_text(json.dumps({"artifacts": artifacts, "parameterValues": parameters}))

    def _answer(self, step: Step) -> Any:
        """What the step returned: what those got that were recorded behind it."""
        if step.task_name in {"decide-retraining", "watch-model"}:
            return "retrain" if self.run in RETRAINS else "keep"
        if step.task_name == "evaluate-model":
            return "promote"
        if step.task_name in {"plan-shards", "plan-search"}:
            rounds = [recorded for recorded in self.recordings if recorded["function"] in {"profile_shard", "score_candidates"}]
            return [recorded["executor_input"]["inputs"]["parameterValues"]["shard"] for recorded in rounds]
        for dag in self._dags():
            for name, task in dag["tasks"].items():
                for key, source in task.get("inputs", {}).get("parameters", {}).items():
                    told = source.get("taskOutputParameter", {}).get("producerTask") == step.task_name
                    inner = source.get("componentInputParameter") == f"pipelinechannel--{step.task_name}-Output"
                    for recorded in self.recordings:
                        if (told or inner) and task_of(recorded) == name:
                            return recorded["executor_input"]["inputs"]["parameterValues"][key]
        return "unknown"


def written_metadata(kept: dict[str, Any], output_name: str) -> dict[str, Any]:
    """What a step wrote, of which the backend has kept this."""
    written = {name: value["struct"] if isinstance(value, dict) else value for name, value in kept.items() if name != "store_session_info"}
    if written.get("display_name") == output_name:
        del written["display_name"]
    return {name: bool(value) if name in WRITTEN_AS_BOOLEANS else value for name, value in written.items()}


def comparable(handed_over: dict[str, Any]) -> dict[str, Any]:
    """The same without what differs from run to run: the store's address, executions, and the numbers of artifacts."""
    root = handed_over["outputs"]["artifacts"]["executor-logs"]["artifacts"][0]["uri"].rsplit("/", 5)[0]
    local_root = root.replace("minio://", "/minio/")
    text = json.dumps(handed_over, sort_keys=True)
    for place in (root, local_root):
        text = text.replace(f'"{place}/', '"ROOT/')
    text = re.sub(r'"ROOT/[^"]*/tmp/kfp/outputs/', '"/tmp/kfp/outputs/', text)
    text = re.sub(r"(ROOT/[^/]+/[^/]+/[^/]+)/[0-9a-f-]{36}/", r"\1/EXECUTION/", text)
    compared = json.loads(text)
    for listed in compared["inputs"].get("artifacts", {}).values():
        for artifact in listed["artifacts"]:
            assert artifact["name"].isdigit()
            assert set(json.loads(artifact["metadata"]["store_session_info"])) == {"Provider", "Params"}
            artifact["name"], artifact["metadata"]["store_session_info"] = "NUMBER", "SESSION"
        listed["artifacts"].sort(key=lambda artifact: json.dumps(artifact, sort_keys=True))
    return compared


@pytest.mark.parametrize("run", sorted(by_run()))
def test_a_recorded_run_gets_the_same_again(run: str, tmp_path: Path) -> None:
    replay = Replay(run, by_run()[run])
    replay.play(tmp_path)
    expected = Counter(f"{recorded['function']} {task_of(recorded)}" for recorded in replay.recordings)
    assert Counter(replay.compared) == expected


def test_the_recordings_are_all_compared() -> None:
    assert sum(len(recordings) for recordings in by_run().values()) == 66
    assert all(artifact["uri"].startswith(RECORDED_ROOT) for recorded in recorded_inputs() for artifact in Replay._artifacts(recorded))


def test_metadata_is_kept_as_the_backend_keeps_it() -> None:
    kept = kept_metadata({"alert": True, "present": False, "rows": 3.0, "share": 0.25, "importances": {"a": 1.0}, "names": ["b"]}, output_name="model")
    assert kept["alert"] == 1
    assert kept["alert"] is not True
    assert (kept["present"], kept["rows"], kept["share"]) == (0, 3, 0.25)
    assert (kept["importances"], kept["names"]) == ({"struct": {"a": 1}}, {"list": ["b"]})
    assert kept["display_name"] == "model"
    assert kept_metadata({"display_name": "dataset"}, output_name="validated_data")["display_name"] == "dataset"
