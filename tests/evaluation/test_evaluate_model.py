from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from kfp import dsl

from evergreen import evaluate_model, keep_champion
from evergreen.evaluation.errors import EvaluationError
from evergreen.registry.ledger import Ledger
from evergreen.runs.records import reported_step
from evergreen.storage.opening import open_store
from support.killed_steps import killed_after_its_ledger_record

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

CUT = "2020-06-01T00:00:00Z"


@pytest.fixture
def evaluate(tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any], dict[str, Any]]]:
    """Call evaluate_model; returns its answer, the evaluation and the artifacts."""

    def run(challenger: Any, champion: Any, holdout: pd.DataFrame, **settings: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        holdout.to_parquet(tmp_path / "holdout", index=False)
        absent = dsl.Model(name="champion", uri=str(tmp_path / "absent"), metadata={"present": False})
        outputs: dict[str, Any] = {
            "evaluation": dsl.Artifact(name="e", uri=str(tmp_path / "e" / "evaluation"), metadata={}),
            "evaluation_report": dsl.HTML(name="r", uri=str(tmp_path / "r" / "report.html"), metadata={}),
            "classification_metrics": dsl.ClassificationMetrics(name="c", uri=str(tmp_path / "c" / "curves"), metadata={}),
            "model_card": dsl.Markdown(name="k", uri=str(tmp_path / "k" / "card.md"), metadata={}),
            "model_card_page": dsl.HTML(name="p", uri=str(tmp_path / "p" / "card.html"), metadata={}),
            "metrics": dsl.Metrics(name="m", uri=str(tmp_path / "m" / "metrics"), metadata={}),
        }
        holdout_data = dsl.Dataset(name="h", uri=str(tmp_path / "holdout"), metadata={})
        ledger = str(tmp_path / "ledger")
        answer = evaluate_model.python_func(
            challenger=challenger, champion=champion or absent, holdout_data=holdout_data, ledger_uri=ledger, run_id="run-1", **outputs, **settings
        )
        record = json.loads((tmp_path / "ledger" / "runs" / "run-1" / "evaluate_model.json").read_text())
        content = json.loads(Path(outputs["evaluation"].path).read_text())
        assert record["outcome"] == answer == content["verdict"]
        assert "check_rows" not in record["details"]
        assert content["sentence"].split(".")[0] in Path(outputs["evaluation_report"].path).read_text().replace("&#39;", "'")
        return answer, content, outputs

    return run


@pytest.fixture
def old(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> Any:
    """A champion from before the relation turned round."""
    return make_model("champion", make_events(days=120, flip=True, seed=1), fit_end="2020-05-01T00:00:00Z")


@pytest.fixture
def new(make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> Any:
    return make_model("challenger", make_events(days=120, seed=2), fit_end=CUT)


@pytest.fixture
def holdout(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_events(start="2020-06-01", days=60, seed=3)


def test_a_better_challenger_is_promoted(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    answer, found, artifacts = evaluate(new, old, holdout)
    assert (answer, found["conclusion"], found["champion_version"], found["rows"]) == ("promote", "better", "3", 240)
    assert 0 < found["difference_lower"] < found["difference"] < found["difference_upper"]
    assert found["difference"] == pytest.approx(found["challenger_score"] - found["champion_score"])
    assert found["challenger_lower"] < found["challenger_score"] < found["challenger_upper"]
    assert found["holdout_window"] == {"start": "2020-06-01T00:00:00Z", "end": "2020-07-30T00:00:00Z"}
    assert len(found["check_rows"]) == len(found["check_predictions"]) == 200
    assert set(found["check_rows"][0]) == {"temperature", "pressure", "humidity", "city"}
    curves = artifacts["classification_metrics"].metadata
    assert sum(sum(row["row"]) for row in curves["confusionMatrix"]["rows"]) == 240
    assert 2 <= len(curves["confidenceMetrics"]) <= 100
    assert all(np.isfinite(list(point.values())).all() for point in curves["confidenceMetrics"])
    assert artifacts["metrics"].metadata == {
        "challenger score": found["challenger_score"],
        "champion score": found["champion_score"],
        "difference": found["difference"],
        "difference lower bound": found["difference_lower"],
    }
    assert json.loads(Path(artifacts["metrics"].path).read_text()) == artifacts["metrics"].metadata


def reject(found_by: Path, step: str) -> str:
    """Run the keep_champion that somebody's own pipeline has behind evaluate_model."""
    evidence = dsl.Artifact(name="e", uri=str(found_by / "e" / "evaluation"), metadata={})
    place = {"model_name": "rain", "champion_version": "3", "ledger_uri": str(found_by / "ledger"), "run_id": "run-1", "step_name": step}
    return str(keep_champion.python_func(evidence=evidence, reason="challenger rejected", **place))


def test_a_rejection_is_recorded_once_by_the_step_that_finds_it(
    evaluate: Callable[..., Any], new: Any, old: Any, make_events: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    ledger = Ledger(open_store(str(tmp_path / "ledger")), "rain")
    with reported_step(ledger_uri=str(tmp_path / "ledger"), run_id="run-1", step_name="decide_retraining") as step:
        step.details = {"decision": "retrain", "rule": "performance", "reasons": ["It fell."], "mode": "auto", "policy": {}}
    changed = make_events(start="2020-06-01", days=60, seed=3, flip=True)
    with killed_after_its_ledger_record():
        evaluate(new, old, changed, model_name="rain")
    assert evaluate(new, old, changed, model_name="rain")[0] == "reject"
    found = json.loads((tmp_path / "e" / "evaluation").read_text())
    assert [reject(tmp_path, "reject_challenger"), reject(tmp_path, "reject_challenger")] == ["rejection", "rejection"]
    (record,) = ledger.records()
    assert (record.kind, record.step_name, record.challenger_id) == ("rejection", "evaluate_model", found["challenger_id"])
    kept = {name: value for name, value in found.items() if not name.startswith("check_")}
    assert record.evidence == {**kept, "decision_of_run": step.details, "reason": "challenger rejected", "champion_found": "3"}
    assert ledger.verify() == []


def test_a_promotion_and_a_rejection_without_a_model_are_not_recorded(
    evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame, tmp_path: Path
) -> None:
    assert evaluate(new, old, holdout, model_name="rain")[0] == "promote"
    assert evaluate(new, new, holdout)[0] == "reject"
    assert Ledger(open_store(str(tmp_path / "ledger")), "rain").records() == []
    assert reject(tmp_path, "reject_challenger") == "rejection"
    assert [record.step_name for record in Ledger(open_store(str(tmp_path / "ledger")), "rain").records()] == ["reject_challenger"]


def test_a_challenger_that_is_rejected_without_a_champion_finds_none(evaluate: Callable[..., Any], new: Any, holdout: pd.DataFrame, tmp_path: Path) -> None:
    assert evaluate(new, None, holdout.assign(rain=None), model_name="rain")[0] == "reject"
    (record,) = Ledger(open_store(str(tmp_path / "ledger")), "rain").records()
    assert (record.kind, record.evidence["champion_found"], record.evidence["conclusion"]) == ("rejection", "none", "cannot tell")


def test_a_worse_challenger_is_rejected(evaluate: Callable[..., Any], new: Any, old: Any, make_events: Callable[..., pd.DataFrame]) -> None:
    # The relation has turned back: the challenger is now worse than a constant, too.
    answer, found, _ = evaluate(new, old, make_events(start="2020-06-01", days=60, seed=3, flip=True))
    assert (answer, found["conclusion"]) == ("reject", "below floor")
    assert found["difference_upper"] < 0
    assert "no better than a constant's" in found["reasons"][0]


def test_an_equal_challenger_is_rejected_unless_the_margin_allows_it(evaluate: Callable[..., Any], new: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, new, holdout)
    assert (answer, found["conclusion"], found["difference"]) == ("reject", "not better", 0.0)
    answer, found, _ = evaluate(new, new, holdout, margin=-0.02)
    assert (answer, found["conclusion"]) == ("promote", "better")
    assert "no worse than the champion by more than the margin" in found["reasons"][0]


@pytest.mark.parametrize(
    ("decided", "settings", "promoted"),
    [
        (None, {}, False),
        ({"decision": "retrain", "champion_stale": False}, {}, False),
        ({"decision": "retrain", "champion_stale": True}, {}, True),
        ({"decision": "retrain", "champion_stale": True}, {"policy_config": "gate: {stale_champion: proven_better}"}, False),
        ({"decision": "retrain", "champion_stale": True}, {"margin": 0.2}, False),
        ({"decision": "retrain", "champion_stale": True}, {"floors": '{"accuracy": 0.99}'}, False),
    ],
    ids=["no decision", "not stale", "stale", "stale, proof asked for", "stale, below the margin", "stale, below a floor"],
)
def test_a_stale_champion_gives_way_to_a_higher_score(
    *,
    evaluate: Callable[..., Any],
    make_model: Callable[..., Any],
    make_events: Callable[..., pd.DataFrame],
    new: Any,
    tmp_path: Path,
    decided: dict[str, Any] | None,
    settings: dict[str, Any],
    promoted: bool,
) -> None:
    rows = make_events(start="2020-06-01", days=60, seed=3)
    like = make_model("like", make_events(days=60, seed=5), fit_end=CUT)
    better, worse = (new, like) if evaluate(new, like, rows)[1]["difference"] > 0 else (like, new)
    decision = None
    if decided is not None:
        (tmp_path / "decision.json").write_text(json.dumps(decided))
        decision = dsl.Artifact(name="d", uri=str(tmp_path / "decision.json"), metadata={})
    answer, found, _ = evaluate(better, worse, rows, decision=decision, **settings)
    assert found["difference_lower"] <= 0 < found["difference"], "a difference that chance can explain"
    assert (answer == "promote") is promoted
    if promoted:
        assert found["conclusion"] == "better than a stale champion"
        assert "The policy found the champion stale, and the challenger scores higher on the same rows by" in found["reasons"][0]
    assert evaluate(worse, better, rows, decision=decision, **settings)[0] == "reject"


def test_worse_than_a_good_champion(
    evaluate: Callable[..., Any], make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], new: Any, holdout: pd.DataFrame
) -> None:
    weak = make_model("weak", make_events(days=120, seed=4), fit_end=CUT, features={"pressure": "number"})
    answer, found, _ = evaluate(weak, new, holdout)
    assert (answer, found["conclusion"]) == ("reject", "worse")


def test_rows_that_the_champion_has_seen_are_left_out(
    evaluate: Callable[..., Any], make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], new: Any, holdout: pd.DataFrame
) -> None:
    champion = make_model("newer", make_events(days=120, flip=True, seed=1), fit_end="2020-06-21T00:00:00Z")
    _, found, _ = evaluate(new, champion, holdout)
    assert (found["rows"], found["rows_seen_by_champion"]) == (160, 80)
    assert found["holdout_window"]["start"] == "2020-06-21T00:00:00Z"
    answer, found, artifacts = evaluate(new, champion, holdout, minimum_rows=161)
    assert (answer, found["conclusion"], found["challenger_score"]) == ("reject", "cannot tell", None)
    assert "Only 160 labelled rows are newer than the training data of both models (80 older rows were left out); at least 161" in found["reasons"][0]
    assert found["rows"] == 160
    assert artifacts["metrics"].metadata == {}, "what cannot be told is no number"


def test_no_row_is_left(evaluate: Callable[..., Any], new: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, None, holdout.assign(rain=None))
    assert (answer, found["conclusion"], found["rows"], found["holdout_window"]) == ("reject", "cannot tell", 0, {"start": "", "end": ""})


def test_without_champion_the_challenger_must_beat_a_constant(evaluate: Callable[..., Any], new: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, None, holdout)
    assert (answer, found["conclusion"], found["champion_version"], found["difference"]) == ("promote", "no champion", "none", None)
    assert found["naive_score"] == pytest.approx(max(holdout["rain"].mean(), 1 - holdout["rain"].mean()))
    answer, found, _ = evaluate(new, None, holdout.assign(rain=holdout["rain"].sample(frac=1, random_state=0).to_numpy()))
    assert (answer, found["conclusion"]) == ("reject", "not better")


def test_floors(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, old, holdout, floors='{"roc_auc": 0.999, "accuracy": 0.5}')
    assert (answer, found["conclusion"]) == ("reject", "below floor")
    assert len(found["reasons"]) == 1
    assert found["reasons"][0].endswith("below the floor of 0.999.")
    assert evaluate(new, old, holdout, floors='{"roc_auc": 0.9}')[0] == "promote"


def test_another_metric(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, old, holdout, metric="roc_auc", resamples=300)
    assert (answer, found["metric"]) == ("promote", "roc_auc")
    assert found["naive_score"] == pytest.approx(0.5)


def test_a_metric_of_the_users_own(
    evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame, *, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "umbrella_shop.py").write_text(
        "def profit(labels, predicted, *, probabilities, classes):\n    return 5.0 * (predicted & labels).mean() - predicted.mean()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    answer, found, _ = evaluate(new, old, holdout, metric="umbrella_shop:profit", floors='{"umbrella_shop:profit": 0.5}', resamples=300)
    assert (answer, found["metric"]) == ("promote", "umbrella_shop:profit")
    assert found["difference_lower"] > 0
    with pytest.raises(EvaluationError, match="evaluation_metric 'umbrella_shop:loss': module 'umbrella_shop' has no function 'loss'"):
        evaluate(new, old, holdout, metric="umbrella_shop:loss")


def test_errors_are_kept_for_monitoring(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame, tmp_path: Path) -> None:
    _, found, _ = evaluate(new, old, holdout)
    assert (found["errors"]["measure"], found["errors"]["rows"], len(found["errors"]["values"])) == ("log loss", 240, 240)
    assert found["errors"]["values"] == sorted(found["errors"]["values"])
    record = json.loads((tmp_path / "ledger" / "runs" / "run-1" / "evaluate_model.json").read_text())
    assert "errors" not in record["details"]


def test_an_undefined_metric_cannot_tell(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    answer, found, artifacts = evaluate(new, old, holdout.assign(rain=1), metric="roc_auc")
    assert (answer, found["conclusion"]) == ("reject", "cannot tell")
    assert "metric 'roc_auc': not defined on these 240 rows, whose labels are: 1" in found["reasons"][0]
    assert "confidenceMetrics" not in artifacts["classification_metrics"].metadata


def test_a_champion_that_cannot_be_scored(evaluate: Callable[..., Any], new: Any, make_model: Callable[..., Any], make_events: Callable[..., Any]) -> None:
    rows = make_events(days=60).assign(wind=1.0)
    champion = make_model("windy", rows, fit_end=CUT, features={"wind": "number", "temperature": "number"})
    answer, found, _ = evaluate(new, champion, make_events(start="2020-06-01", days=60))
    assert (answer, found["conclusion"]) == ("reject", "cannot tell")
    assert "The champion cannot be scored on the holdout: model id-windy: the rows lack the features wind" in found["reasons"][0]


@pytest.mark.parametrize(
    ("target", "task", "words"),
    [
        ("temperature", "regression", "The champion is for regression and the challenger for classification"),
        ("humid", "classification", "The champion predicts 'humid' and the challenger 'rain'"),
    ],
)
def test_a_champion_for_something_else(
    evaluate: Callable[..., Any], new: Any, make_model: Callable[..., Any], make_events: Callable[..., Any], *, target: str, task: str, words: str
) -> None:
    rows = make_events(days=60).assign(humid=lambda frame: (frame["humidity"] > 0).astype(int))
    champion = make_model("other", rows, fit_end=CUT, features={"pressure": "number"}, task=task, target=target)
    _, found, _ = evaluate(new, champion, make_events(start="2020-06-01", days=60))
    assert found["conclusion"] == "cannot tell"
    assert words in found["reasons"][0]


def test_regression(evaluate: Callable[..., Any], make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    def rows(**settings: Any) -> pd.DataFrame:
        return make_events(**settings).assign(rain=lambda frame: frame["temperature"] * 2 + frame["pressure"])

    features = {"temperature": "number", "pressure": "number"}
    challenger = make_model("challenger", rows(days=60, seed=2), fit_end=CUT, task="regression", features=features)
    champion = make_model("champion", rows(days=60, seed=1), fit_end=CUT, task="regression", features={"temperature": "number"})
    answer, found, artifacts = evaluate(challenger, champion, rows(start="2020-06-01", days=60, seed=3))
    assert (answer, found["metric"]) == ("promote", "neg_mean_absolute_error")
    assert found["difference_lower"] > 0
    assert artifacts["classification_metrics"].metadata == {}
    assert json.loads(Path(artifacts["classification_metrics"].path).read_text()) == {"confidenceMetrics": [], "confusionMatrix": None}


WRONG = [
    ({"metric": "goodness"}, "evaluation_metric 'goodness': unknown name. Valid metrics: auto"),
    ({"metric": "r2"}, "'r2': is for regression, but the task is classification"),
    ({"margin": float("nan")}, "evaluation_margin nan: expected a finite number"),
    ({"minimum_rows": 1}, "minimum_rows 1: expected at least 2"),
    ({"confidence": 95.0}, r"confidence 95.0: expected a share between 0 and 1"),
    ({"resamples": 10}, "resamples 10: expected at least 200"),
    ({"floors": "{"}, "Invalid floors '{': not JSON"),
    ({"floors": '{"accuracy": "high"}'}, "expected a number for each scorer"),
    ({"floors": '{"goodness": 1}'}, "floors: metric 'goodness': unknown name"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_named(
    evaluate: Callable[..., Any], new: Any, holdout: pd.DataFrame, *, settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationError, match=message):
        evaluate(new, None, holdout, **settings)
    assert not (tmp_path / "e" / "evaluation").exists()
    assert json.loads((tmp_path / "ledger" / "runs" / "run-1" / "evaluate_model.json").read_text())["state"] == "failed"


def test_wrong_inputs_are_named(evaluate: Callable[..., Any], new: Any, holdout: pd.DataFrame) -> None:
    with pytest.raises(EvaluationError, match="holdout_data lacks column 'rain', which the challenger was trained with"):
        evaluate(new, None, holdout.drop(columns="rain"))
    absent = dsl.Model(name="m", uri="/none", metadata={"present": False})
    with pytest.raises(EvaluationError, match="challenger: the artifact contains no model"):
        evaluate(absent, None, holdout)


def test_the_gate_settings_reach_the_verdict_the_page_and_the_card(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    config = "{slices: [{column: city}], slice_minimum_rows: 20, calibration_error: 0.3, other_metrics: {roc_auc: 0.02}}"
    answer, found, artifacts = evaluate(new, old, holdout, policy_config=f"gate: {config}")
    assert answer == "promote"
    verdicts = {check["name"]: check["verdict"] for check in found["checks"]}
    assert (verdicts["slices"], verdicts["calibration"], verdicts["metric roc_auc"], verdicts["serving"]) == ("passed",) * 4
    assert {item["name"] for item in found["slices"]} == {"city = Berlin", "city = Lisbon", "city = Oslo"}
    page = Path(artifacts["evaluation_report"].path).read_text()
    for words in ("city = Oslo", "ROC and precision-recall curves", "Expected calibration error", "McNemar"):
        assert words in page
    card, card_page = (Path(artifacts[name].path).read_text() for name in ("model_card", "model_card_page"))
    for words in ("Model card: rain", "sklearn.linear_model.LogisticRegression", "id-challenger", "temperature", "scikit-learn "):
        assert words in card
        assert words in card_page
    assert f"| accuracy | {found['scores']['accuracy']:.4g} |" in card


def test_a_failed_check_rejects_a_better_challenger(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, old, holdout, policy_config="gate: {calibration_error: 0.0001}")
    assert (answer, found["conclusion"]) == ("reject", "failed check")
    assert "above the limit of 0.0001" in found["sentence"]
    assert "serving" not in {check["name"] for check in found["checks"]}
    answer, found, _ = evaluate(new, old, holdout, policy_config="gate: {serving: {model_megabytes: 0.001}}")
    assert (answer, found["conclusion"]) == ("reject", "failed check")


def test_the_analytic_comparison(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    quick = "{test: analytic, serving: {check: false}}"
    for metric, name in (("accuracy", "McNemar"), ("roc_auc", "DeLong")):
        answer, found, _ = evaluate(new, old, holdout, metric=metric, policy_config=f"gate: {quick}")
        assert (answer, found["paired_test"]["name"]) == ("promote", name)
        assert found["difference_lower"] == found["paired_test"]["interval"]["lower"]
    with pytest.raises(EvaluationError, match=r"policy_config: gate\.test 'analytic' is not available for f1"):
        evaluate(new, old, holdout, metric="f1", policy_config=f"gate: {quick}")


def test_the_policy_may_promote_when_nobody_can_tell(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    answer, found, _ = evaluate(new, old, holdout, minimum_rows=1000, policy_config="gate: {when_unclear: promote, serving: {check: false}}")
    assert (answer, found["conclusion"], found["challenger_score"] is None) == ("promote", "cannot tell", False)
    assert "Only 240 labelled rows" in found["sentence"]
    hopeless = "{when_unclear: promote, floors: {accuracy: 0.999}, serving: {check: false}}"
    answer, found, _ = evaluate(new, old, holdout, minimum_rows=1000, policy_config=f"gate: {hopeless}")
    assert (answer, found["conclusion"]) == ("reject", "below floor"), "a missed floor stands, however few the rows"


def test_the_policy_may_replace_a_champion_that_cannot_be_scored(
    evaluate: Callable[..., Any], new: Any, make_model: Callable[..., Any], make_events: Callable[..., Any], holdout: pd.DataFrame
) -> None:
    champion = make_model("windy", make_events(days=60).assign(wind=1.0), fit_end=CUT, features={"wind": "number", "temperature": "number"})
    config = "{allow_unscorable_champion: true, serving: {check: false}}"
    answer, found, _ = evaluate(new, champion, holdout, policy_config=f"gate: {config}")
    assert (answer, found["conclusion"]) == ("promote", "champion cannot be scored")
    assert "the rows lack the features wind" in found["sentence"]
    shuffled = holdout.assign(rain=holdout["rain"].sample(frac=1, random_state=0).to_numpy())
    answer, found, _ = evaluate(new, champion, shuffled, policy_config=f"gate: {config}")
    assert (answer, found["conclusion"]) == ("reject", "not better")


def test_a_column_name_cannot_break_the_card(evaluate: Callable[..., Any], make_model: Callable[..., Any], make_events: Callable[..., Any]) -> None:
    def rows(**settings: Any) -> pd.DataFrame:
        return make_events(**settings).rename(columns={"temperature": "<b>a|b</b>"})

    challenger = make_model("odd", rows(days=60, seed=2), fit_end=CUT, features={"<b>a|b</b>": "number"})
    _, _, artifacts = evaluate(challenger, None, rows(start="2020-06-01", days=60), policy_config="gate: {serving: {check: false}}")
    assert "&lt;b&gt;a\\|b&lt;/b&gt;" in Path(artifacts["model_card"].path).read_text()
    assert "<b>" not in Path(artifacts["model_card_page"].path).read_text()


def test_a_model_without_probabilities(evaluate: Callable[..., Any], make_model: Callable[..., Any], make_events: Callable[..., Any], old: Any) -> None:
    silent = make_model("silent", make_events(days=120, seed=2), fit_end=CUT, estimator="sklearn.linear_model.RidgeClassifier")
    rows = make_events(start="2020-06-01", days=60, seed=3)
    answer, found, artifacts = evaluate(silent, old, rows, policy_config="gate: {serving: {check: false}}")
    assert (answer, found["calibration"], "roc_auc" in found["scores"]) == ("promote", None, False)
    assert "confidenceMetrics" not in artifacts["classification_metrics"].metadata
    answer, found, _ = evaluate(silent, old, rows, metric="roc_auc")
    assert (answer, found["conclusion"]) == ("reject", "cannot tell")
    assert "metric 'roc_auc': not defined on these 240 rows" in found["sentence"]
    answer, found, _ = evaluate(silent, old, rows, policy_config="gate: {calibration_error: 0.1, serving: {check: false}}")
    assert (answer, found["conclusion"]) == ("reject", "cannot tell")
    assert "provides no probabilities" in found["sentence"]


def test_a_class_that_is_new_in_the_holdout(evaluate: Callable[..., Any], new: Any, old: Any, holdout: pd.DataFrame) -> None:
    strange = holdout.assign(rain=holdout["rain"].where(holdout.index % 20 != 0, 2))
    answer, found, _ = evaluate(new, old, strange, policy_config="gate: {serving: {check: false}}")
    assert answer == "promote"
    assert next(check["sentence"] for check in found["checks"] if check["name"] == "new classes").startswith("12 rows belong to classes")
