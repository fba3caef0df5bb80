from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.evaluation.changes import describe_changes
from evergreen.evaluation.comparison import compare_models
from evergreen.evaluation.gate import Gate, parse_gate
from evergreen.evaluation.holdout_rows import comparison_rows
from evergreen.evaluation.model_card import model_card
from evergreen.evaluation.report import evaluation_page
from evergreen.models.files import load_model

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = "2020-06-01T00:00:00Z"
POLICY = "gate: {slices: [{column: pressure}], slice_minimum_rows: 10, fairness: {groups: [city]}}"


def gate_of(policy: str = "default") -> Gate:
    return parse_gate(margin=0.0, minimum_rows=30, confidence=0.95, resamples=400, seed=7, floors="{}", policy_config=policy)


def compared(ours: Any, theirs: Any, rows: pd.DataFrame, policy: str = "default") -> tuple[Any, str, str]:
    """Compare two models; returns the evaluation, its page and the challenger's card."""
    loaded = [load_model(artifact.path) for artifact in (ours, theirs)]
    evaluation, scored = compare_models(*loaded, comparison_rows(rows, loaded), metric="auto", gate=gate_of(policy), champion_version="3")
    return evaluation, evaluation_page(evaluation, scored), model_card(evaluation, loaded[0].description)[0]


@pytest.fixture
def holdout(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_events(start="2020-06-01", days=100, seed=3)


def test_the_report_says_what_changed(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], holdout: pd.DataFrame) -> None:
    rows = make_events(days=120, seed=2)
    ours = make_model("ours", rows, fit_end=CUT, features={"temperature": "number", "humidity": "number"})
    tree = "sklearn.tree.DecisionTreeClassifier"
    theirs = make_model("theirs", rows.head(300), fit_end="2020-05-01T00:00:00Z", features={"temperature": "number", "city": "category"}, estimator=tree)
    evaluation, page, _ = compared(ours, theirs, holdout)
    changed = {entry["what"]: (entry["challenger"], entry["champion"]) for entry in evaluation.changes}
    assert changed["Fitted on rows"] == ("480", "300")
    assert changed["Fitted on event times"][1] == "2019-01-01T00:00:00Z up to 2020-05-01T00:00:00Z"
    assert changed["Estimator"] == ("sklearn.linear_model.LogisticRegression", tree)
    assert changed["Features missing from the other model"] == ("humidity", "city")
    said = [load_model(artifact.path).predict(holdout) for artifact in (ours, theirs)]
    right = [np.asarray(answers == holdout["rain"]) for answers in said]
    differ = said[0] != said[1]
    words = f"The models differ on {differ.sum()} of 400 rows ({differ.mean():.1%}): the challenger is right on {(differ & right[0]).sum()} of them"
    assert words in page
    assert evaluation.champion_lower < evaluation.champion_score < evaluation.champion_upper
    for text in ("What changed compared with the champion", "Confusion matrix", "ROC and precision-recall curves", "Calibration"):
        assert page.count(f"<h2>{text}</h2>") == 1


def test_what_is_alike_is_left_out(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    description = load_model(make_model("one", make_events(days=60), fit_end=CUT).path).description
    assert [entry["what"] for entry in describe_changes(description, description)] == ["Fitted on rows", "Fitted on event times"]
    other = {**vars(description), "hyperparameters": {"C": 2}, "importances": {"city": 0.1}, "classes": [0, 1, 2], "training_options": {"sample_rows": 500}}
    other["features"] = {**description.features, "pressure": "category"}
    changed = {entry["what"]: (entry["challenger"], entry["champion"]) for entry in describe_changes(type(description)(**other), description)}
    assert changed["Hyperparameter C"] == ("2", "the default")
    assert changed["Training option sample_rows"] == ("500", "the default")
    assert changed["Kind of feature pressure"] == ("category", "number")
    assert changed["Classes"] == ("0, 1, 2", "0, 1")
    assert "Importance of city" not in changed, "the other's is not known"


def test_parts_and_groups_are_shown_in_order(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], holdout: pd.DataFrame) -> None:
    ours, theirs = (make_model(name, make_events(days=120, seed=seed), fit_end=CUT) for name, seed in (("ours", 2), ("theirs", 4)))
    rows = holdout.assign(pressure=holdout["pressure"].where(holdout.index % 5 != 0))
    evaluation, page, card = compared(ours, theirs, rows, POLICY)
    names = [item["name"] for item in evaluation.slices]
    assert len(names) == 5
    lower = [float(name.split()[1]) for name in names[:4]]
    assert lower == sorted(lower)
    assert names[4] == "pressure = missing"
    assert sum(item["rows"] for item in evaluation.slices) == len(rows)
    assert "Performance on slices" in card
    assert f"| {names[0]} | 80 |" in card
    said = load_model(ours.path).predict(rows)
    for city in ("Berlin", "Oslo"):
        share = said[rows["city"] == city].mean()
        assert f"city = {city}" in page
        assert f"{share:.4g}" in page


def test_more_than_two_classes_have_curves_and_a_matrix(
    make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], holdout: pd.DataFrame
) -> None:
    def three(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(rain=pd.cut(rows["temperature"], [-np.inf, -1, 1, np.inf], labels=["dry", "wet", "storm"]).astype(str))

    ours, theirs = (make_model(name, three(make_events(days=60, seed=seed)), fit_end=CUT) for name, seed in (("ours", 2), ("theirs", 4)))
    evaluation, page, _ = compared(ours, theirs, three(holdout))
    assert "Micro-average over 3 classes" in page
    said, truth = load_model(ours.path).predict(holdout), three(holdout)["rain"].to_numpy()
    hits = int(((said == "dry") & (truth == "dry")).sum())
    assert f'<td class="number">{hits}</td>' in page
    assert "true storm" in page
    assert evaluation.calibration is not None


def test_regression_shows_errors_and_who_is_closer(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], holdout: pd.DataFrame) -> None:
    def amounts(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.assign(rain=rows["temperature"] * 2 + rows["pressure"])

    ours = make_model("ours", amounts(make_events(days=60, seed=2)), fit_end=CUT, task="regression", features={"temperature": "number", "pressure": "number"})
    theirs = make_model("theirs", amounts(make_events(days=60, seed=4)), fit_end=CUT, task="regression", features={"temperature": "number"})
    rows = amounts(holdout)
    _, page, _ = compared(ours, theirs, rows)
    errors = [np.abs(load_model(artifact.path).predict(rows) - rows["rain"]) for artifact in (ours, theirs)]
    assert f"The challenger is closer to the true value on {(errors[0] < errors[1]).mean():.1%} of 400 rows." in page
    assert "the challenger&#39;s errors by predicted value, for 300 of 400 rows" in page
    assert "Confusion matrix" not in page


def test_a_failed_check_stands_on_top(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], holdout: pd.DataFrame) -> None:
    ours, theirs = (make_model(name, make_events(days=60, seed=seed), fit_end=CUT) for name, seed in (("ours", 2), ("theirs", 4)))
    _, page, _ = compared(ours, theirs, holdout, "gate: {calibration_error: 0.9, stress_change: 0.0001}")
    assert page.index("stress: missing values: failed") < page.index("calibration: passed")


def test_an_estimator_without_predict_proba(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], holdout: pd.DataFrame) -> None:
    ours, theirs = (
        make_model(name, make_events(days=120, seed=2), fit_end=CUT, estimator=f"sklearn.{name}") for name in ("svm.LinearSVC", "dummy.DummyClassifier")
    )
    evaluation, page, _ = compared(ours, theirs, holdout)
    assert (evaluation.verdict, evaluation.conclusion) == ("promote", "better")
    assert "neg_log_loss" not in evaluation.scores
    assert "<h2>Confusion matrix</h2>" in page
    assert "<h2>Calibration</h2>" not in page
    limited, _, _ = compared(ours, theirs, holdout, "gate: {calibration_error: 0.1}")
    assert (limited.verdict, limited.conclusion) == ("reject", "cannot tell")
    assert limited.reasons[0] == "The challenger provides no probabilities, so its calibration is unknown."
    loaded = [load_model(artifact.path) for artifact in (ours, theirs)]
    rows = comparison_rows(holdout, loaded)
    evaluation, _ = compare_models(*loaded, rows, metric="roc_auc", gate=gate_of(), champion_version="3")
    assert (evaluation.verdict, evaluation.conclusion) == ("reject", "cannot tell")
    assert "metric 'roc_auc': not defined on these 400 rows for classification" in evaluation.reasons[0]
