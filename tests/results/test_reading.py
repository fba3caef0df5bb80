"""What steps hand to one another survives writing and reading, across versions; a wrong value is one clear error."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.data.json_values import plain, to_json
from evergreen.errors import ArtifactError, PolicyError
from evergreen.results.baseline import Baseline, Calibration, ErrorSummary
from evergreen.results.decision import Decision, Measurement, Trigger
from evergreen.results.drift import (
    CorrelationChange,
    DriftResult,
    FeatureDrift,
    FeatureMeasurement,
    MultivariateResult,
)
from evergreen.results.evaluation import Evaluation
from evergreen.results.feedback import Feedback, FeedbackSource
from evergreen.results.performance import (
    ColumnDifference,
    ErrorDrift,
    Estimate,
    PerformanceResult,
    SliceResult,
    UnlabelledComparison,
)

if TYPE_CHECKING:
    from evergreen.results.reading import JsonResult

MEASURED = FeatureMeasurement(
    "city", "category", 0.0, 0.1, 900, 90, effects={"missing_share_change": 0.1, "new_category_share": None}, p_value=0.002, new_categories={"Oslo": 0.4}
)
DRIFT = DriftResult(
    "drift",
    "severe",
    "Severe drift.",
    [FeatureDrift(MEASURED, {"p_value": 0.004}, drift=True, severity="severe", reason="Changed."), FeatureDrift(FeatureMeasurement("rain"))],
    0.5,
    weighted_by_importance=True,
    rows={"reference": 1000, "current": 100},
    multivariate=MultivariateResult(
        "drift", "rank correlations", "evergreen", 0.01, auc=0.7, rows=200, correlations=[CorrelationChange(("a", "b"), 0.1, 0.8, 0.0)], sentence="Moved."
    ),
    left_out={"key": "too many"},
)
PERFORMANCE = PerformanceResult(
    "degraded",
    "accuracy",
    *(0.6, 0.5, 0.7),
    *(0.8, 0.75, 0.85),
    *(0.2, 0.1, 0.3),
    margin=0.02,
    rows=80,
    estimate=Estimate(True, "Estimated.", "accuracy", 0.61, verdict="degraded", rows=20),
    slices=[SliceResult("city = Oslo", 30, "scored", 0.4, 0.2, 0.6)],
    worst_slice=SliceResult("city = Oslo", 30, "scored", 0.4, 0.2, 0.6),
    errors=ErrorDrift("changed", "Larger.", worse=True, edges=[0.0, 1.0], before=[1], now=[2]),
    unlike=UnlabelledComparison("different", "They differ.", [ColumnDifference("city", "slight", "Changed.")]),
)
DECISION = Decision(
    "retrain",
    ["Accuracy fell."],
    True,
    "performance",
    [Trigger("performance", 0.6, 0.02, "fired", "Accuracy fell."), Trigger("model_age", None, None, "quiet", "Young.")],
    policy={"version": 1},
    window_end="2020-01-01T00:00:00Z",
    rows=100,
    measured=Measurement("accuracy", 0.6, 0.5, 0.7),
)
EVALUATION = Evaluation(
    "promote",
    "better",
    "classification",
    "accuracy",
    challenger_id="a1",
    reasons=["It is better."],
    challenger_score=0.8,
    calibration=Calibration(0.01, [0.2], [0.3], [50]),
    errors=ErrorSummary("log loss", 2, [0.1, 0.7]),
    check_rows=[{"a": 1}],
    check_predictions=[1],
)
FEEDBACK = Feedback(True, "Said.", rows=3, negative=1.5, sources=[FeedbackSource("ann", 3, 1.5)])
ALL = [DRIFT, PERFORMANCE, DECISION, EVALUATION, FEEDBACK]


def names(content: dict[str, Any]) -> list[str]:
    return [type(value).__name__ for value in content]


@pytest.mark.parametrize("result", ALL, ids=names(ALL))
def test_what_was_written_is_read_and_written_again_byte_for_byte(result: JsonResult) -> None:
    written = to_json(result.to_json())
    again = type(result).from_json(json.loads(written), source="artifact")
    assert to_json(again.to_json()) == written


def test_a_baseline_is_stored_without_the_version_that_it_has_not_got_yet() -> None:
    baseline = Baseline("classification", "accuracy", 0.8, 0.7, 0.9, calibration=EVALUATION.calibration, errors=EVALUATION.errors, fit_end="2020-01-01")
    stored = baseline.to_json()
    assert not {"version", "model_name", "model_uri", "promoted_at", "present"} & set(stored)
    assert stored["higher_is_better"] is True
    assert Baseline.from_json(plain(stored), source="baseline.json") == baseline


@pytest.mark.parametrize("result", ALL, ids=names(ALL))
def test_keys_of_a_later_version_are_ignored(result: JsonResult) -> None:
    content = json.loads(to_json(result.to_json()))
    later = {**content, "invented_later": {"a": [1]}}
    if isinstance(later.get("features"), list):
        later["features"] = [{**feature, "invented_later": 1} for feature in later["features"]]
    assert type(result).from_json(later, source="artifact").to_json() == type(result).from_json(content, source="artifact").to_json()


@pytest.mark.parametrize(
    ("kind", "old"),
    [
        (DriftResult, {"verdict": "no drift"}),
        (PerformanceResult, {"verdict": "holds"}),
        (Decision, {"decision": "keep"}),
        (Evaluation, {"verdict": "reject"}),
        (Feedback, {"present": False}),
        (Baseline, {}),
    ],
)
def test_keys_that_an_older_version_did_not_write_have_their_defaults(kind: type[JsonResult], old: dict[str, Any]) -> None:
    read = kind.from_json(old, source="artifact")
    for name, value in old.items():
        assert getattr(read, name) == value
    # Null is what a number that is not finite becomes, and an absent key is not asked for twice.
    assert kind.from_json({**dict.fromkeys(read.to_json()), **old}, source="artifact").to_json() == {**read.to_json(), **_nullable(kind, old)}


def _nullable(kind: type[JsonResult], old: dict[str, Any]) -> dict[str, Any]:
    return {"share_drifted": None} if kind is DriftResult and "share_drifted" not in old else {}


@pytest.mark.parametrize(
    ("result", "change", "message"),
    [
        (DRIFT, {"verdict": "storm"}, "verdict is 'storm'; expected one of 'drift', 'no drift', 'insufficient', 'no champion'"),
        (DRIFT, {"verdict": None}, "verdict is None; expected one of 'drift'"),
        (DRIFT, {"rows": {"current": "many"}}, "rows.current is 'many'; expected a whole number"),
        (DRIFT, {"features": "many"}, "features is 'many'; expected a list"),
        (DRIFT, {"features": [3]}, "features.0 is 3; expected an object"),
        (DRIFT, {"features": [{"name": "a", "drift": 1}]}, "features.0.drift is 1; expected true or false"),
        (DRIFT, {"features": [{"drift": True}]}, "features.0.name is missing; expected text"),
        (PERFORMANCE, {"score": "high"}, "score is 'high'; expected a number"),
        (PERFORMANCE, {"score": True}, "score is True; expected a number"),
        (PERFORMANCE, {"rows": 3.5}, "rows is 3.5; expected a whole number"),
        (PERFORMANCE, {"estimate": {"available": True}}, "estimate.sentence is missing; expected text"),
        (PERFORMANCE, {"errors": []}, r"errors is \[\]; expected an object"),
        (DECISION, {"decision": "maybe"}, "decision is 'maybe'; expected one of 'retrain', 'keep'"),
        (DECISION, {"triggers": [{"name": "age", "verdict": "loud"}]}, "triggers.0.verdict is 'loud'; expected one of 'fired', 'quiet', 'cannot tell'"),
        (DECISION, {"triggers": [{"name": "age", "value": [], "verdict": "quiet"}]}, r"triggers.0.value is \[\]; expected a number or text or null"),
        (DECISION, {"champion_stale": "no"}, "champion_stale is 'no'; expected true or false"),
        (EVALUATION, {"verdict": "perhaps"}, "verdict is 'perhaps'; expected one of 'promote', 'reject'"),
        (EVALUATION, {"calibration": {"error": 0.1}}, "calibration.predicted is missing; expected a list"),
        (FEEDBACK, {"sources": [{"source": "ann", "rows": 1}]}, "sources.0.negative is missing; expected a number"),
    ],
)
def test_a_value_of_the_wrong_type_is_one_clear_error(result: JsonResult, change: dict[str, Any], message: str) -> None:
    content = {**json.loads(to_json(result.to_json())), **change}
    given = copy.deepcopy(content)
    with pytest.raises(PolicyError, match=rf"^drift_result /data/x: {message}.* Make sure that it was written by {result.written_by}\.$"):
        type(result).from_json(content, source="drift_result /data/x", error=PolicyError)
    assert content == given, "what was given is left as it was"


@pytest.mark.parametrize(("kind", "missing"), [(DriftResult, "verdict"), (PerformanceResult, "verdict"), (Decision, "decision"), (Evaluation, "verdict")])
def test_what_nothing_can_stand_for_must_be_there(kind: type[JsonResult], missing: str) -> None:
    with pytest.raises(ArtifactError, match=f"^result: {missing} is missing; expected one of .*written by {kind.written_by}"):
        kind.from_json({}, source="result")


def test_whole_numbers_may_be_written_as_fractions() -> None:
    assert PerformanceResult.from_json({"verdict": "holds", "rows": 5.0}, source="result").rows == 5
    assert PerformanceResult.from_json({"verdict": "holds", "score": 1}, source="result").score == 1


def test_results_cannot_be_changed() -> None:
    for result in (DRIFT, PERFORMANCE, DECISION, FEEDBACK, Baseline()):
        with pytest.raises(FrozenInstanceError):
            result.verdict = "other"


def test_what_was_not_measured_is_an_empty_object() -> None:
    unmeasured = Decision.from_json({"decision": "keep", "measured": {}}, source="decision")
    assert unmeasured.measured is None
    assert unmeasured.to_json()["measured"] == {}


def test_reading_results_loads_nothing_heavy() -> None:
    modules = ", ".join(f"evergreen.results.{name}" for name in ("baseline", "decision", "drift", "evaluation", "feedback", "performance"))
    heavy = ("numpy", "pandas", "pyarrow", "pydantic", "sklearn", "mlflow", "kfp")
    code = f"import {modules}, sys; print(*[name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
