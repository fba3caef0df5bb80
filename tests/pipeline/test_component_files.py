"""One file a component, under its own name; the paths that files had before stay for one release."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from kfp import components

import evergreen

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ROOT / "components" / "evergreen"
OLD_PATHS = {
    "backtest/component.yaml": "replay_policy",
    "deployment/component.yaml": "deploy_model",
    "drift/component.yaml": "detect_drift",
    "evaluation/component.yaml": "evaluate_model",
    "ingestion/component.yaml": "ingest_data",
    "performance/component.yaml": "monitor_performance",
    "policy/component.yaml": "decide_retraining",
    "registry/component.yaml": "load_champion",
    "reporting/component.yaml": "record_run",
    "training/component.yaml": "train_model",
    "validation/component.yaml": "validate_data",
    "watching/component.yaml": "watch_model",
}


def test_every_component_has_one_file_under_its_own_name() -> None:
    found = sorted(path.stem for path in ROOMS.rglob("*.yaml") if str(path.relative_to(ROOMS)) not in OLD_PATHS)
    assert found == sorted(set(evergreen.__all__) - {"__version__"})


@pytest.mark.parametrize(("old_path", "name"), OLD_PATHS.items())
def test_an_old_path_holds_the_same_component_and_says_where_it_is_now(old_path: str, name: str) -> None:
    text = (ROOMS / old_path).read_text(encoding="utf-8")
    moved = re.match(r"# Moved to (\S+)\. This copy is .* kept for one release\.\n", text)
    assert moved
    new_path = ROOT / moved[1]
    assert new_path.stem == name
    assert text.splitlines()[1:] == new_path.read_text(encoding="utf-8").splitlines()[1:]
    # The note stands in the place of a line that KFP does not read; the description is read by its line number.
    old, new = (components.load_component_from_text(path.read_text(encoding="utf-8")) for path in (ROOMS / old_path, new_path))
    assert old.component_spec.name == name.replace("_", "-")
    assert old.description == new.description
    assert old.description.startswith(str(getattr(evergreen, name).python_func.__doc__).partition("\n")[0])
    assert MessageToDict(old.pipeline_spec) == MessageToDict(new.pipeline_spec)
