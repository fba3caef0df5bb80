from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evergreen.data.artifacts import read_json
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.evidence import REFERENCE_ROWS, write_reference
from evergreen.deployment.registered_copy_checks import smoke_test
from evergreen.models.files import load_model
from evergreen.models.fitted import FittedModel
from evergreen.results.evaluation import Evaluation

if TYPE_CHECKING:
    from pathlib import Path

    from support.registry_fixtures import World


class Fixed:
    """Predicts the same values whatever it is given."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)

    def predict(self, rows: Any) -> Any:
        return np.resize(self._values, len(rows))


@pytest.fixture
def judged(world: World) -> tuple[FittedModel, Evaluation]:
    inputs = world.challenger("a")
    return load_model(inputs["model"].path), Evaluation.from_json(read_json(inputs["evaluation"].path), source="evaluation")


def test_the_agreement_is_recorded(judged: tuple[FittedModel, Evaluation]) -> None:
    model, evaluation = judged
    evaluation.check_predictions[0] = 1 - evaluation.check_predictions[0]
    assert [(check.passed, check.detail) for check in smoke_test(model, model, evaluation)] == [
        (True, "30 predictions"),
        (True, "on 30 rows"),
        (True, "on 96.7% of the rows, at least 50% required"),
    ]


def test_classes_that_the_model_never_learned_are_refused(judged: tuple[FittedModel, Evaluation]) -> None:
    model, evaluation = judged
    with pytest.raises(DeploymentError, match="predictions are known classes: unknown: 7"):
        smoke_test(FittedModel(Fixed([0, 7]), model.description), model, evaluation)


@pytest.mark.parametrize("values", [[np.nan], [np.inf, 1.0]])
def test_a_regression_must_predict_finite_numbers(judged: tuple[FittedModel, Evaluation], values: list[float]) -> None:
    model, evaluation = judged
    strange = FittedModel(Fixed(values), replace(model.description, task="regression", classes=[]))
    with pytest.raises(DeploymentError, match=r"predictions are finite: (0|15) of 30. The champion is unchanged"):
        smoke_test(strange, strange, evaluation)


@pytest.mark.parametrize(("values", "told"), [([1.0, 2.0, 4.0], "correlation 1.000"), ([3.0], "one of them predicts a constant or non-finite numbers")])
def test_a_regression_has_its_correlation_recorded(judged: tuple[FittedModel, Evaluation], values: list[float], told: str) -> None:
    model, evaluation = judged
    regression = FittedModel(Fixed(values), replace(model.description, task="regression", classes=[]))
    evaluation.check_predictions = [2 * value for value in np.resize([1.0, 2.0, 4.0], 30)]
    check = smoke_test(regression, regression, evaluation)[2]
    assert check.passed
    assert told in check.detail


def test_the_reference_is_a_bounded_sample_and_the_same_each_time(tmp_path: Path, judged: tuple[FittedModel, Evaluation]) -> None:
    import pandas as pd

    rows = REFERENCE_ROWS + 500
    source = pd.DataFrame({"temperature": np.arange(rows), "pressure": 0.0, "city": "Oslo", "rain": 1, "key": 7})
    source["time"] = pd.date_range("2020-01-01", periods=rows, freq="min", tz="UTC")
    source.to_parquet(tmp_path / "rows", index=False)
    for name in ("one", "other"):
        write_reference(tmp_path / name, str(tmp_path / "rows"), judged[0].description)
    sample = pd.read_parquet(tmp_path / "one")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert len(sample) == sample["temperature"].nunique() == REFERENCE_ROWS
    assert sample["temperature"].is_monotonic_increasing
    assert set(sample.columns) == {"temperature", "pressure", "city", "rain", "time"}
