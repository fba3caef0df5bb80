"""What a step gets from the factory of its pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from kfp import dsl

from evergreen import detect_drift, profile_shard
from evergreen.pipeline.step_factory import StepFactory
from evergreen.pipeline_file import load_pipeline
from evergreen.secret_files import SECRET_FOLDER

PIPELINES = sorted((Path(__file__).resolve().parents[2] / "pipelines").glob("*.py"))
RUN = {"runtimeValue": {"constant": dsl.PIPELINE_JOB_ID_PLACEHOLDER}}
LEDGER = {"componentInputParameter": "ledger"}
SECRET = "team"
COLUMNS = {"target_column": "rain", "timestamp_column": "time"}


def define(add_steps: Callable[[StepFactory, Any], None]) -> Any:
    """Return a pipeline with an imported dataset and the steps that are added."""

    @dsl.pipeline(name="watch")
    def watch(ledger: str = "none") -> None:
        data = dsl.importer(artifact_uri="/nowhere", artifact_class=dsl.Dataset).output
        add_steps(StepFactory(ledger_uri=ledger, secret_name=SECRET), data)

    return watch


def tasks_of(pipeline: Any) -> dict[str, dict[str, Any]]:
    spec = MessageToDict(pipeline.pipeline_spec)
    dags = [spec["root"]["dag"], *(component["dag"] for component in spec["components"].values() if "dag" in component)]
    return {name: task for dag in dags for name, task in dag["tasks"].items()}


def executors_of(pipeline: Any) -> dict[str, dict[str, Any]]:
    return MessageToDict(pipeline.platform_spec)["platforms"]["kubernetes"]["deploymentSpec"]["executors"]


def test_a_step_reports_to_the_ledger_under_the_run_and_reads_the_secret() -> None:
    pipeline = define(lambda step, data: step("Detect drift", detect_drift, reference_data=data, current_data=data, **COLUMNS) and None)
    task = tasks_of(pipeline)["detect-drift"]
    assert task["taskInfo"]["name"] == "Detect drift"
    assert task["inputs"]["parameters"]["ledger_uri"] == LEDGER
    assert task["inputs"]["parameters"]["run_id"] == RUN
    (secret,) = executors_of(pipeline)["exec-detect-drift"]["secretAsVolume"]
    assert (secret["secretNameParameter"]["runtimeValue"]["constant"], secret["mountPath"]) == (SECRET, SECRET_FOLDER)


def test_a_step_of_a_loop_reports_nothing() -> None:
    def add_steps(step: StepFactory, data: Any) -> None:
        step("Profile shard", profile_shard, dataset=data, plan=data, shard=0, shards=1, **COLUMNS, reports=False)

    given = tasks_of(define(add_steps))["profile-shard"]["inputs"]["parameters"]
    assert not {"ledger_uri", "run_id"} & set(given)


def test_a_component_of_ones_own_gets_what_it_takes() -> None:
    @dsl.component
    def count(rows: int, run_id: str) -> int:
        return rows + len(run_id)

    pipeline = define(lambda step, _: step("Count rows", count, rows=3) and None)
    assert tasks_of(pipeline)["count"]["inputs"]["parameters"] == {"rows": {"runtimeValue": {"constant": 3}}, "run_id": RUN}
    assert executors_of(pipeline)["exec-count"]["secretAsVolume"]


@pytest.mark.parametrize("file", PIPELINES, ids=lambda path: path.stem)
def test_no_step_of_a_pipeline_goes_without_secret_ledger_or_run(file: Path) -> None:
    pipeline = load_pipeline(file)
    spec = MessageToDict(pipeline.pipeline_spec)
    executors = executors_of(pipeline)
    for name, task in tasks_of(pipeline).items():
        component = spec["components"][task["componentRef"]["name"]]
        if "dag" in component:
            continue
        (secret,) = executors[component["executorLabel"]]["secretAsVolume"]
        assert secret["secretNameParameter"]["componentInputParameter"].removeprefix("pipelinechannel--") == "secret_name", name
        given = task["inputs"]["parameters"]
        # The turns of a loop would overwrite each other's record.
        loops = {"profile-shard", "score-candidates", "replay-policy"}
        assert (given.get("run_id") == RUN) == ("ledger_uri" in given) == (name not in loops), name
