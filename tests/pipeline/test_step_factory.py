"""What a step gets from the factory of its pipeline."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from kfp import dsl

from evergreen import detect_drift, profile_shard
from evergreen.pipeline.loading import PipelineFileError, load_pipeline
from evergreen.pipeline.step_factory import StepFactory
from evergreen.secrets.files import SECRET_FOLDER
from evergreen.submission.steps import pipeline_steps

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


def test_a_step_is_recorded_under_the_name_that_the_graph_shows_in_words() -> None:
    def add_steps(step: StepFactory, data: Any) -> None:
        step("Compare with last year", detect_drift, reference_data=data, current_data=data, **COLUMNS)
        step("Detect drift", detect_drift, reference_data=data, current_data=data, **COLUMNS)

    renamed, plain = (tasks_of(define(add_steps))[name] for name in ("detect-drift", "detect-drift-2"))
    assert renamed["taskInfo"]["name"] == "Compare with last year"
    assert renamed["inputs"]["parameters"]["step_name"] == {"runtimeValue": {"constant": "compare_with_last_year"}}
    # The component's own name is its default.
    assert "step_name" not in plain["inputs"]["parameters"]


@pytest.mark.parametrize("name", ["", "detect drift", "Detect  drift", "Detect drift (again)", "Detect/drift", "../Drift", "Detect Drift"])
def test_a_name_that_no_record_can_have_is_refused(name: str) -> None:
    with pytest.raises(PipelineFileError, match=f"step {re.escape(repr(name))}: expected a capital letter and words.*'Ingest window'.*ingest_window"):
        define(lambda step, data: step(name, detect_drift, reference_data=data, current_data=data, **COLUMNS) and None)


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
def test_every_step_of_a_pipeline_has_one_name(file: Path) -> None:
    for name, found in pipeline_steps(MessageToDict(load_pipeline(file).pipeline_spec)).items():
        if not found.group and len(found.record_names) == 1:
            assert found.record_names[0].replace("_", " ").capitalize() == found.shown, name


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
