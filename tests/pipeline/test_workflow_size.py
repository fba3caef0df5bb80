"""The estimate of a run's Workflow: what it is made of, and what it says about the pipelines of the project."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kfp import compiler, dsl

from evergreen.pipeline.compilation import compile_pipeline
from evergreen.pipeline.workflow_size import WARN_FROM_BYTES, WorkflowSize, estimate_workflow, executor_input_bytes
from pipeline.recordings import recorded_inputs

ROOT = Path(__file__).resolve().parents[2]
BOUNDS = {"lean_retraining": 800_000}
BOUND = 950_000


def compiled(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    spec, *more = yaml.safe_load_all(path.read_text())
    return spec, more[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if more else {}


@pytest.mark.parametrize("file", sorted((ROOT / "pipelines").glob("*.yaml")), ids=lambda path: path.stem)
def test_no_run_of_ours_grows_too_large_to_be_followed(file: Path) -> None:
    size = estimate_workflow(*compiled(file))
    assert size.node_bytes < BOUNDS.get(file.stem, BOUND)


def test_a_known_executor_input_is_counted_as_it_is() -> None:
    spec, platform = compiled(ROOT / "pipelines" / "rollback.yaml")
    small, large = (estimate_workflow(spec, platform, executor_inputs={"roll-back-model": [size]}).node_bytes for size in (1000, 3000))
    assert large - small == 6 * 2000


@pytest.mark.parametrize("rounds", [1, 4])
def test_every_round_of_a_loop_counts(rounds: int, tmp_path: Path) -> None:
    @dsl.component(base_image="python:3.11-slim", install_kfp_package=False)
    def work(item: int) -> int:
        return item

    def sized(count: int) -> int:
        @dsl.pipeline(name="loop")
        def loop():
            with dsl.ParallelFor(list(range(count)), name="Items") as item:
                work(item=item)

        compiler.Compiler().compile(loop, str(tmp_path / "loop.yaml"))
        return estimate_workflow(*compiled(tmp_path / "loop.yaml")).node_bytes

    one_round = sized(2) - sized(1)
    assert one_round > 10_000
    assert sized(1 + rounds) - sized(1) == pytest.approx(rounds * one_round, rel=0.02)


def test_an_executor_input_is_as_long_as_a_clusters() -> None:
    for recorded in recorded_inputs():
        given = recorded["executor_input"]
        session = max(
            (len(a["metadata"]["store_session_info"]) for held in given["inputs"].get("artifacts", {}).values() for a in held["artifacts"]), default=0
        )
        exact = len(json.dumps(given, separators=(",", ":")))
        # The recorded addresses are longer than the 120 characters of the formula by up to 60.
        artifacts = sum(len(held["artifacts"]) for side in ("inputs", "outputs") for held in given[side].get("artifacts", {}).values())
        assert exact - 80 * (artifacts + 1) < executor_input_bytes(given, session_bytes=session) <= exact + 10 * (artifacts + 1)


def test_compiling_says_the_size_and_warns_of_a_large_one(tmp_path: Path) -> None:
    cost = compile_pipeline(ROOT / "pipelines" / "lean_retraining.py", tmp_path / "lean.yaml")
    assert f"Workflow: {cost.workflow}" in str(cost)
    assert cost.workflow.warning == ""
    large = WorkflowSize(WARN_FROM_BYTES + 300_000)
    assert "may grow to 1.10 MB. Above 1.05 MB" in large.warning
    assert "shorten its loops" in large.warning
