"""A number or share of features counts features, and nothing else: the champion's predictions are no feature."""

from __future__ import annotations

import itertools
import re
from types import SimpleNamespace
from typing import Any

import pytest

from evergreen.data.json_values import plain
from evergreen.drift.settings import DriftSettings
from evergreen.drift.step import _numbers
from evergreen.drift.verdict import conclude_dataset
from evergreen.errors import PolicyError
from evergreen.policy.diagnosis import what_moved
from evergreen.reporting.run_metrics import run_metrics
from evergreen.results.drift import NOT_LOOKED_AT, PREDICTION, DriftResult, FeatureDrift, FeatureMeasurement, Severity
from evergreen.results.performance import PerformanceResult
from evergreen.runs.records import StepRecord

SEVERITIES: tuple[Severity, ...] = ("none", "slight", "severe")
HOLDS = PerformanceResult("holds")


def concluded(name: str, severity: Severity) -> FeatureDrift:
    return FeatureDrift(FeatureMeasurement(name, p_value=0.5), drift=severity != "none", severity=severity)


def verdict(severities: tuple[Severity, ...], prediction: Severity | None, importances: dict[str, float]) -> DriftResult:
    features = [concluded(f"x{number}", severity) for number, severity in enumerate(severities)]
    return conclude_dataset(
        features,
        {"reference": 100, "current": 100},
        settings=DriftSettings(),
        together=NOT_LOOKED_AT,
        left_out={},
        importances=importances,
        prediction=None if prediction is None else concluded(PREDICTION, prediction),
        compared_with="all 100 reference rows",
    )


def recorded(result: DriftResult) -> Any:
    return StepRecord("detect_drift", state="succeeded", outcome=result.verdict, details=plain(result.to_json()))


def counted(result: DriftResult) -> dict[str, Any]:
    """Return every number of features that is said anywhere about a result."""
    said = re.search(r"(\d+|none) of (\d+) features", result.sentence)
    assert said is not None, result.sentence
    summary: Any = SimpleNamespace(outcome="kept", evaluation=None, repair=None)
    return {
        "sentence": (0 if said[1] == "none" else int(said[1]), int(said[2])),
        "json": (sum(entry["drift"] for entry in result.to_json()["features"]), len(result.to_json()["features"])),
        "metric of the step": _numbers(result)["features that drifted"],
        "share": (result.share_drifted, _numbers(result)["share of features that drifted"]),
        "metric of the run": run_metrics(summary, [recorded(result)])["features that drifted"],
    }


@pytest.mark.parametrize(
    "importances", [{}, {"x0": 0.7, "x1": 0.2, "x2": 0.1}, {"x0": 0.04, "x1": 0.96, PREDICTION: 5.0}], ids=["equal", "weighted", "strange"]
)
def test_predictions_change_no_number_share_or_severity_of_features(importances: dict[str, float]) -> None:
    for severities in itertools.product(SEVERITIES, repeat=3):
        alone = verdict(severities, None, importances)
        drifting = sum(severity != "none" for severity in severities)
        assert counted(alone)["sentence"] == counted(alone)["json"] == (drifting, 3)
        assert counted(alone)["metric of the step"] == counted(alone)["metric of the run"] == drifting
        for prediction in SEVERITIES:
            beside = verdict(severities, prediction, importances)
            assert counted(beside) == counted(alone)
            if drifting or prediction == "none":
                assert (beside.verdict, beside.severity) == (alone.verdict, alone.severity)
                assert beside.weighted_by_importance == alone.weighted_by_importance
            else:
                # Nothing but the predictions drifts, however much: no trigger on severe drift of the inputs may fire.
                assert (beside.verdict, beside.severity, beside.share_drifted) == ("drift", "slight", 0.0)
            assert ("predictions drift" in beside.sentence) is (prediction != "none")
            again = DriftResult.from_json(plain(beside.to_json()), source="result")
            assert (counted(again), again.prediction is not None and again.prediction.drift) == (counted(beside), prediction != "none")


def test_the_diagnosis_tells_inputs_from_predictions() -> None:
    assert what_moved(verdict(("none", "none"), "severe", {}), HOLDS) == "The champion's predictions changed, but the model still performs well."
    assert what_moved(verdict(("slight", "none"), "severe", {}), HOLDS) == "The inputs changed, but the model still performs well."


def test_a_record_that_counted_predictions_among_the_features_is_read() -> None:
    written = plain(verdict(("severe", "none"), "slight", {}).to_json())
    old = {
        **{name: value for name, value in written.items() if name not in {"prediction", "compared_with"}},
        "features": [*written["features"], written["prediction"]],
    }
    read = DriftResult.from_json(old, source="drift result", error=PolicyError)
    assert [feature.measured.name for feature in read.features] == ["x0", "x1"]
    assert read.prediction is not None
    assert (read.prediction.measured.name, read.prediction.severity) == (PREDICTION, "slight")
