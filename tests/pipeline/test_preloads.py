"""What is imported before steps are forked."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict

import evergreen
from evergreen.pipeline.loading import load_pipeline
from evergreen.pipeline.preloads import EXECUTOR_NEEDS, NEEDS, first_needs, needs_in_order, needs_of

OWN = sorted({name for names in [EXECUTOR_NEEDS, *NEEDS.values()] for name in names if name.startswith("evergreen.")})


def test_every_component_is_known() -> None:
    components = {name: getattr(evergreen, name) for name in set(evergreen.__all__) - {"__version__"}}
    commands = [component.component_spec.implementation.container.command for component in components.values()]
    assert sorted(command[3] for command in commands) == sorted(NEEDS)
    assert all(set(NEEDS[command[3]]) <= set(needs_of(command) or []) for command in commands)


@pytest.mark.parametrize("name", OWN)
def test_every_module_of_ours_is_there(name: str) -> None:
    # A name that is not would be passed over in a run, and its step be slower than it has to be.
    assert importlib.util.find_spec(name) is not None


def test_a_step_of_somebody_elses_needs_nothing_that_is_known() -> None:
    assert needs_of(["sh", "-c", "python3 -m kfp.dsl.executor_main"]) is None
    assert needs_of([]) is None


def test_what_may_not_run_is_left_out(repository: Path) -> None:
    pipeline = load_pipeline(repository / "pipelines" / "continuous_retraining.py")
    modules = needs_in_order(MessageToDict(pipeline.pipeline_spec))
    places = [modules.index(f"evergreen.{room}.recorded_step") for room in ("ingestion", "deployment", "validation", "drift", "performance", "policy")]
    assert places == sorted(places)
    assert "evergreen.reporting.step" in modules
    assert not [name for name in modules if name.startswith(("evergreen.training", "evergreen.evaluation"))]


def test_the_first_steps_are_found_in_the_source(repository: Path, tmp_path: Path) -> None:
    guessed = first_needs(repository / "pipelines" / "continuous_retraining.py")
    assert set(NEEDS["ingestion.ingest_data"]) | set(NEEDS["deployment.load_champion"]) <= set(guessed)
    (tmp_path / "own.py").write_text("from kfp import dsl\n")
    assert first_needs(tmp_path / "own.py") == []
    assert first_needs(tmp_path / "absent.py") == []
