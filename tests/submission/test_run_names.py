from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.submission.run_names import default_run_name, experiment_name
from support.commands import evergreen

if TYPE_CHECKING:
    from submission.kfp_server import KfpServer

NOW = datetime(2026, 11, 29, 3, 5, 7, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"model_name": "rain", "data_window_end": "scheduled", "data_window_days": 30}, "rain 2026-11-29 (30 days) 03:05"),
        ({"model_name": "rain", "data_window_end": "scheduled(0 0 3 * * *)", "data_window_days": 1.0}, "rain 2026-11-29 (1 day) 03:05"),
        ({"model_name": "rain", "data_window_end": "latest", "data_window_days": "7"}, "rain 2026-11-29 (7 days) 03:05"),
        ({"model_name": "rain", "data_window_end": "1954-01-01T00:00:00Z", "data_window_days": 365}, "rain 1954-01-01 (365 days) 03:05"),
        ({"model_name": "rain", "data_window_end": "19540101000000"}, "rain 1954-01-01 03:05"),
        ({"model_name": "rain"}, "rain 2026-11-29 03:05"),
        ({"model_name": " two\nwords ", "data_window_days": "many"}, "two words 2026-11-29 03:05"),
        ({"model_name": "none"}, "lean-retraining 2026-11-29 03:05:07"),
        ({}, "lean-retraining 2026-11-29 03:05:07"),
    ],
)
def test_a_run_is_named_after_model_and_window(parameters: dict[str, Any], name: str) -> None:
    assert default_run_name("lean-retraining", parameters, now=NOW) == name


def test_a_name_of_any_length_stays_short() -> None:
    assert len(default_run_name("p", {"model_name": "x" * 5000, "data_window_end": "y" * 5000, "data_window_days": 10**30}, now=NOW)) < 200


@pytest.mark.parametrize(
    ("given", "parameters", "name"),
    [("team", {"model_name": "rain"}, "team"), (None, {"model_name": "rain"}, "rain"), (None, {"model_name": "none"}, "evergreen"), (None, {}, "evergreen")],
)
def test_an_experiment_is_the_models_unless_another_is_asked_for(given: str | None, parameters: dict[str, Any], name: str) -> None:
    assert experiment_name(given, parameters) == name


def test_submit_names_run_and_experiment_with_the_pipelines_defaults(kfp: KfpServer, pipeline_file: Path) -> None:
    pipeline_file.write_text(pipeline_file.read_text().replace("days: int", 'data_window_end: str = "1954-01-01", data_window_days: int'))
    pipeline_file.write_text(pipeline_file.read_text().replace("        days: A number.\n", ""))
    assert evergreen("submit", str(pipeline_file), "-p", "model_name=rain+1 %25", "--no-follow").status == 0
    assert evergreen("submit", str(pipeline_file), "-p", "model_name=rain+1 %25", "--no-follow").status == 0
    assert evergreen("submit", str(pipeline_file), "-p", "model_name=rain", "--no-follow", "--experiment", "team", "--run-name", "mine").status == 0
    named, _, asked = kfp.runs.values()
    # A name that a filter could not be asked for would be made a second time.
    assert [experiment.display_name for experiment in kfp.experiments.values()] == ["rain+1 %25", "team"]
    assert named.display_name.startswith("rain+1 %25 1954-01-01 (30 days) ")
    assert asked.display_name == "mine"
