from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from evergreen.evaluation.calibration import measure_calibration
from evergreen.evaluation.errors import EvaluationError
from evergreen.evaluation.gate import Gate, Ruling
from evergreen.evaluation.gate_checks import apply_checks, run_checks
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.evaluation.holdout_rows import predictions_of
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.scoring import resolve_metric
from evergreen.models.files import load_model
from evergreen.models.fitted import FittedModel
from evergreen.models.recorded_predictions import RECORD_FILE, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from evergreen.evaluation.gate_checks import Findings

CUT = "2020-06-01T00:00:00Z"


@pytest.fixture
def model(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> FittedModel:
    return load_model(make_model("challenger", make_events(days=60, seed=2), fit_end=CUT).path)


@pytest.fixture
def frame(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_events(start="2020-06-01", days=150, seed=3)


@pytest.fixture
def check(model: FittedModel, frame: pd.DataFrame) -> Callable[..., Findings]:
    def run(config: str, *, theirs: Callable[[Predictions], Predictions] | None = None, ours: Predictions | None = None) -> Findings:
        said = ours or predictions_of(model, frame, target_column="rain")
        gate = Gate(resamples=400, settings=GateSettings.model_validate(yaml.safe_load(config)))
        return run_checks(model, frame, said, theirs(said) if theirs else None, metric=resolve_metric("accuracy", "classification"), gate=gate)

    return run


def verdicts(found: Findings) -> dict[str, str]:
    return {item.name: item.verdict for item in found.checks}


def always_right(said: Predictions) -> Predictions:
    return Predictions(said.labels, said.labels, said.probabilities, said.classes)


def spoiled_in(member: Any) -> Callable[[Predictions], Predictions]:
    """A challenger's rival that is right everywhere on the members and says the same elsewhere."""
    return lambda said: Predictions(said.labels, np.where(member, said.labels, said.predicted), said.probabilities, said.classes)


def test_a_slice_that_is_shown_worse_fails_and_the_others_do_not(check: Callable[..., Findings], model: FittedModel, frame: pd.DataFrame) -> None:
    said = predictions_of(model, frame, target_column="rain")
    oslo = (frame["city"] == "Oslo").to_numpy()
    broken = Predictions(said.labels, np.where(oslo, 1 - said.predicted, said.predicted), said.probabilities, said.classes)
    found = check("slices: [{column: city}, {where: temperature > 0}]", ours=broken, theirs=lambda _: said)
    by_name = {item.name: item for item in found.slices}
    assert set(by_name) == {"city = Oslo", "city = Berlin", "city = Lisbon", "temperature > 0"}
    assert by_name["city = Oslo"].verdict == "worse"
    assert by_name["city = Berlin"].verdict == "not worse"
    assert by_name["city = Oslo"].rows == oslo.sum()
    assert verdicts(found)["slices"] == "failed"
    assert f"city = Oslo ({oslo.sum()} rows)" in next(item for item in found.checks if item.name == "slices").sentence


def test_a_slice_within_its_margin_or_too_small_does_not_fail(check: Callable[..., Findings]) -> None:
    assert verdicts(check("slices: [{column: city, margin: 0.5}]", theirs=always_right))["slices"] == "passed"
    found = check("slices: [{where: temperature > 3}]", theirs=always_right)
    assert found.slices[0].verdict == "too few rows"
    assert verdicts(found)["slices"] == "passed"


def test_numbers_are_cut_at_quartiles_and_the_interval_is_corrected(check: Callable[..., Findings]) -> None:
    four = check("slices: [{column: temperature}]", theirs=always_right).slices
    assert [item.rows for item in four] == [150, 150, 150, 150]
    member = four[0].name
    bounds = member.removeprefix("temperature ").split(" to ")
    alone = check(f"slices: [{{where: temperature > {bounds[0]} and temperature <= {bounds[1]}}}]", theirs=always_right).slices[0]
    assert alone.rows == pytest.approx(150, abs=2)
    assert four[0].upper is not None
    assert four[0].lower is not None
    assert alone.upper is not None
    assert alone.lower is not None
    assert four[0].upper - four[0].lower > alone.upper - alone.lower


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("slices: [{column: wind}]", "policy_config: gate.slices: Unknown column 'wind'. Valid columns: time"),
        ("slices: [{where: wind > 1}]", "policy_config: gate.slices: 'wind > 1' cannot be evaluated: name 'wind' is not defined"),
        ("slices: [{where: temperature + 1}]", "returns float64 values; expected true or false"),
        ("slices: [{where: '@pd.io > 1'}]", "contains '@' or '__', which access objects outside the table"),
        ("fairness: {groups: [wind]}", "Unknown column 'wind' in gate.fairness.groups"),
        ("fairness: {groups: [city], favourable: 7}", "Unknown class 7 in gate.fairness.favourable. Valid classes: 0, 1"),
        ("other_metrics: {goodness: 0.1}", "policy_config: gate.other_metrics: metric 'goodness'"),
        ("golden: [{row: {city: Oslo}, expected: 1}]", "policy_config: gate.golden: model id-challenger: the rows lack the features"),
        ("golden: [{row: {city: Oslo}, expected: 3}]", "policy_config: Unknown class 3 in gate.golden, example 1"),
    ],
)
def test_what_does_not_exist_is_named(check: Callable[..., Findings], config: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        check(config)


def test_another_metric_must_not_be_worse_by_more_than_its_margin(check: Callable[..., Findings]) -> None:
    same = verdicts(check("other_metrics: {roc_auc: 0.01, neg_log_loss: 0.01}", theirs=lambda said: said))
    assert (same["metric roc_auc"], same["metric neg_log_loss"]) == ("passed", "passed")
    worse = check("other_metrics: {f1: 0.001}", theirs=always_right)
    assert verdicts(worse)["metric f1"] == "failed"
    assert "Cannot rule out being worse by more than 0.001" in next(item.sentence for item in worse.checks if item.name == "metric f1")
    blind = check("other_metrics: {roc_auc: 0.01}", theirs=lambda said: Predictions(said.labels, said.predicted, None, said.classes))
    assert verdicts(blind)["metric roc_auc"] == "cannot tell"


def test_gaps_between_groups(check: Callable[..., Findings], model: FittedModel, frame: pd.DataFrame) -> None:
    config = "fairness: {groups: [city], demographic_parity: 0.3, equalised_odds: 0.3}"
    assert set(verdicts(check(config)).values()) >= {"passed"}
    said = predictions_of(model, frame, target_column="rain")
    unfair = Predictions(said.labels, np.where(frame["city"] == "Oslo", 1, said.predicted), said.probabilities, said.classes)
    found = check(config, ours=unfair)
    assert verdicts(found)["demographic parity by city"] == "failed"
    odds = next(item for item in found.checks if item.name == "equalised odds by city")
    shares = [unfair.predicted[((frame["city"] == city) & (said.labels == 0)).to_numpy()].mean() for city in ("Berlin", "Lisbon", "Oslo")]
    assert odds.verdict == "failed"
    assert f"is {max(shares) - min(shares):.4g}" in odds.sentence
    alone = check("{fairness: {groups: [city], demographic_parity: 0.1}, slice_minimum_rows: 500}")
    assert verdicts(alone)["demographic parity by city"] == "cannot tell"


def test_calibration_is_measured_and_judged(check: Callable[..., Findings]) -> None:
    random = np.random.default_rng(0)
    true_share = random.random(20_000)
    labels = (random.random(20_000) < true_share).astype(int)
    honest = measure_calibration(Predictions(labels, labels, np.column_stack([1 - true_share, true_share]), (0, 1)))
    boastful = measure_calibration(Predictions(labels, labels, np.column_stack([1 - true_share**2, true_share**2]), (0, 1)))
    assert honest is not None
    assert boastful is not None
    assert honest.error < 0.015
    # The mean of x - x**2 for uniform x is 1/6.
    assert boastful.error == pytest.approx(1 / 6, abs=0.01)
    assert verdicts(check("calibration_error: 0.0001"))["calibration"] == "failed"
    assert verdicts(check("{}"))["calibration"] == "measured"


def test_stress_finds_the_feature_that_swings_and_the_model_that_breaks(model: FittedModel, frame: pd.DataFrame, check: Callable[..., Findings]) -> None:
    found = check("stress_change: 0.05")
    by_name = {item.name: item for item in found.checks}
    assert by_name["stress: values out of range"].verdict == "failed"
    changes = by_name["stress: values out of range"].details["changes"]
    assert changes["temperature"] > 1.5 * changes["humidity"]
    assert by_name["stress: unseen categories"].verdict == "passed"

    class Fragile:
        def predict(self, rows: pd.DataFrame) -> Any:
            if rows.isna().any(axis=None):
                raise ValueError("Input contains NaN")
            return model.pipeline.predict(rows)

    broken = run_checks(
        FittedModel(Fragile(), model.description),
        frame,
        predictions_of(model, frame, target_column="rain"),
        None,
        metric=resolve_metric("accuracy", "classification"),
        gate=Gate(),
    )
    assert "the model fails: ValueError: Input contains NaN" in next(item.sentence for item in broken.checks if item.name == "stress: missing values")
    assert verdicts(broken)["stress: missing values"] == "failed"


def test_golden_examples_must_be_kept(check: Callable[..., Findings]) -> None:
    hot = {"temperature": 3.0, "pressure": 1.0, "humidity": 0.0, "city": "Oslo"}
    kept = {"golden": [{"row": hot, "expected": 1}, {"row": {**hot, "temperature": -3.0, "pressure": -1.0}, "expected": 0}]}
    assert verdicts(check(json.dumps(kept)))["golden examples"] == "passed"
    kept["golden"][1]["expected"] = 1
    found = next(item for item in check(json.dumps(kept)).checks if item.name == "golden examples")
    assert (found.verdict, found.sentence) == ("failed", "1 of 2 golden examples are predicted differently: example 2 expects 1 and gets 0.")


def test_one_answer_for_everything_fails(check: Callable[..., Findings], model: FittedModel, frame: pd.DataFrame) -> None:
    said = predictions_of(model, frame, target_column="rain")
    constant = Predictions(said.labels, np.ones_like(said.predicted), np.full((len(said), 2), 0.5), said.classes)
    assert verdicts(check("{}", ours=constant))["one answer"] == "failed"


def test_new_and_missing_classes_are_named(check: Callable[..., Findings], model: FittedModel, frame: pd.DataFrame) -> None:
    said = predictions_of(model, frame, target_column="rain")
    strange = Predictions(np.where(said.labels == 0, 2, 1), said.predicted, said.probabilities, said.classes)
    sentences = {item.name: item.sentence for item in check("{}", ours=strange).checks}
    assert sentences["new classes"].startswith(f"{(strange.labels == 2).sum()} rows belong to classes that the challenger has never seen")
    assert "No compared row belongs to class 0" in sentences["missing classes"]


def test_checks_change_the_ruling() -> None:
    from evergreen.evaluation.checks import Check

    yes = Ruling("promote", "better", ["It is better."])
    failed, unclear = Check("a", "failed", "A failed."), Check("b", "cannot tell", "B is not known.")
    assert apply_checks(yes, [failed, unclear], when_unclear="promote") == Ruling("reject", "failed check", ["A failed.", "It is better."])
    assert apply_checks(yes, [unclear], when_unclear="reject") == Ruling("reject", "cannot tell", ["B is not known.", "It is better."])
    assert apply_checks(yes, [unclear], when_unclear="promote") == Ruling("promote", "better", ["It is better.", "B is not known."])
    no = Ruling("reject", "worse", ["It is worse."])
    assert apply_checks(no, [failed], when_unclear="promote") == Ruling("reject", "worse", ["It is worse.", "A failed."])


def test_a_model_that_another_process_cannot_load_fails(make_model: Callable[..., Any], frame: pd.DataFrame) -> None:
    from evergreen.evaluation.gate_settings import Serving
    from evergreen.evaluation.servability import check_servability

    artifact = make_model("other", frame, fit_end=CUT)
    served = {item.name: item for item in check_servability(artifact.path, Serving(model_megabytes=0.0001))}
    assert served["serving"].verdict == "passed"
    assert served["serving: size"].verdict == "failed"
    assert served["serving: latency"].details["p50_milliseconds"] <= served["serving: latency"].details["p99_milliseconds"]
    record = read_record(artifact.path)
    write_record(artifact.path, replace(record, predictions=[1 - said for said in record.predictions]))
    other = check_servability(artifact.path, Serving())
    assert (other[0].verdict, "predicts 200 of 200 rows differently" in other[0].sentence) == ("failed", True)
    (Path(artifact.path) / RECORD_FILE).unlink()
    (lost,) = check_servability(artifact.path, Serving())
    assert (lost.verdict, "The predictions recorded at training are missing from the model" in lost.sentence) == ("failed", True)
    write_record(artifact.path, record)
    (Path(artifact.path) / "model.skops").write_bytes(b"damaged")
    (broken,) = check_servability(artifact.path, Serving())
    assert broken.verdict == "failed"
    assert "skops cannot read it" in broken.sentence
