"""The decision for every combination of evidence, and what it says."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen.errors import PolicyError
from evergreen.policy.component import decide_retraining
from evergreen.policy.decision import decide
from evergreen.policy.policy_file import Hysteresis, Policy, read_policy
from evergreen.policy.report import decision_page
from policy.given_evidence import evidence_of

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.policy.evidence import Evidence

AT_ONCE = Hysteresis(needed=1, windows=1)
BASELINE = {"present": True, "version": "3", "fit_end": "1981-01-01T00:00:00Z"}
DRIFTS = [("no drift", "none"), ("drift", "slight"), ("drift", "moderate"), ("drift", "severe"), ("insufficient", "none"), ("no champion", "none")]
TRIGGERS = (
    "no_champion",
    "explicit_request",
    "external_event",
    "performance",
    "probe",
    "follow_up",
    "input_drift",
    "prediction_drift",
    "feedback",
    "new_data",
    "model_age",
)
PERFORMANCES = ["holds", "degraded", "cannot tell", "no champion"]
SCORES = {
    "metric": "accuracy",
    "score": 0.552,
    "lower": 0.5,
    "upper": 0.6,
    "baseline_score": 0.781,
    "baseline_lower": 0.76,
    "baseline_upper": 0.8,
    "margin": 0.02,
}


def heard(bad: float) -> dict[str, Any]:
    """Feedback of 40 users, of which a share is bad."""
    return {"present": True, "rows": 400, "sources": [{"source": f"user{number}", "rows": 10, "negative": 10 * bad} for number in range(40)]}


FEEDBACK = {"nothing": None, "praise": heard(0.1), "complaints": heard(0.9), "too little": {**heard(0.9), "sources": heard(0.9)["sources"][:4]}}
ESTIMATES = {
    "none": None,
    "not available": {"available": False, "sentence": "An estimate is not available."},
    "holds": {"available": True, "sentence": "Estimated: 0.78.", "verdict": "holds", "score": 0.78, "drop": 0.0},
    "degraded": {"available": True, "sentence": "Estimated: 0.55.", "verdict": "degraded", "score": 0.55, "drop": 0.231},
}


def evidence(
    drift: str = "no drift",
    severity: str = "none",
    performance: str = "holds",
    *,
    champion: bool = True,
    mode: str = "auto",
    end: str = "latest",
    feedback: str = "nothing",
    estimate: str = "none",
) -> Evidence:
    result = {"verdict": performance, "estimate": ESTIMATES[estimate], **SCORES}
    return evidence_of({"verdict": drift, "severity": severity}, result, BASELINE if champion else None, mode, end, feedback=FEEDBACK[feedback])


@pytest.mark.parametrize("mode", ["auto", "force", "dry-run"])
@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("maximum", [None, 10.0])
def test_truth_table(mode: str, champion: bool, old: bool, maximum: float | None) -> None:
    end = "1981-02-01T00:00:00Z" if old else "1981-01-05T00:00:00Z"
    for (drift, severity), performance, feedback, estimate, on_estimate in itertools.product(DRIFTS, PERFORMANCES, FEEDBACK, ESTIMATES, (False, True)):
        given = evidence(drift, severity, performance, champion=champion, mode=mode, end=end, feedback=feedback, estimate=estimate)
        made = decide(given, Policy(maximum_model_age_days=maximum, hysteresis=AT_ONCE, retrain_on_estimate=on_estimate))
        untold = performance in ("cannot tell", "no champion")
        estimated = untold and estimate == "degraded" and on_estimate and severity != "severe"
        asking = {
            "no_champion": not champion,
            "explicit_request": mode == "force",
            "performance": performance == "degraded" or estimated,
            "feedback": feedback == "complaints",
            "model_age": old and maximum is not None,
            "input_drift": severity == "severe" and untold,
            "alert_only": drift == "drift",
            "all_quiet": True,
        }
        rule = next(name for name, asks in asking.items() if asks)
        assert made.rule == rule
        assert made.decision == ("keep" if rule in ("alert_only", "all_quiet") else "retrain")
        assert made.alert is (drift == "drift" or performance == "degraded" or estimated or feedback == "complaints")
        assert made.reasons
        assert all(reason.endswith(".") and reason[0].isupper() for reason in made.reasons)
        if champion and performance == "cannot tell":
            assert any("Cannot tell whether" in reason for reason in made.reasons)
        if champion and drift == "insufficient":
            assert any("Cannot tell whether the inputs drift" in reason for reason in made.reasons)
        if untold and champion and estimate in ("holds", "degraded"):
            assert any("Estimated: " in reason for reason in made.reasons)
        assert [trigger.name for trigger in made.triggers] == list(TRIGGERS)


def test_an_estimate_is_shown_and_retrains_only_where_the_policy_says_so() -> None:
    unlabelled = evidence(performance="cannot tell", estimate="degraded")
    made = decide(unlabelled, Policy(hysteresis=AT_ONCE))
    assert (made.decision, made.rule) == ("keep", "all_quiet")
    assert made.reasons[0].endswith(
        "Estimated: 0.55. That is 0.231 below the score at promotion, more than chance can explain; the policy does not retrain on an estimate."
    )
    assert decide(unlabelled, read_policy("{retrain_on_estimate: true, hysteresis: {needed: 1, windows: 1}}")).rule == "performance"
    assert decide(unlabelled, read_policy("retrain_on_estimate: true")).rule == "hysteresis"
    moderate = evidence("drift", "moderate", "cannot tell", estimate="degraded")
    assert decide(moderate, read_policy("{retrain_on_estimate: true, retrain_on_drift_severity: moderate}")).rule == "hysteresis"


def test_far_from_what_it_learned_an_estimate_is_not_trusted() -> None:
    severe = evidence("drift", "severe", "cannot tell", estimate="degraded")
    made = decide(severe, read_policy("retrain_on_estimate: true"))
    assert made.rule == "input_drift"
    said = next(trigger for trigger in made.triggers if trigger.name == "performance")
    assert (said.verdict, said.sentence.endswith("confidences are untested on such data and the estimate may be far off.")) == ("cannot tell", True)


LARGER = {"errors": {"verdict": "changed", "worse": True}}
FINE = {"errors": {"verdict": "unchanged", "worse": False}}


@pytest.mark.parametrize(
    ("drift", "performance", "sentence"),
    [
        ("drift", {"verdict": "holds", **FINE}, "The inputs changed, but the model still performs well."),
        ("no drift", {"verdict": "holds", **FINE}, "Neither the inputs nor the champion's errors changed."),
        (
            "drift",
            {"verdict": "degraded", **LARGER},
            "The inputs changed, and the model performs worse; it is unknown how much of the loss the inputs' drift explains.",
        ),
        ("no drift", {"verdict": "degraded", **LARGER}, "The inputs look the same, but the model performs worse: the relation between inputs and"),
        (
            "no drift",
            {"verdict": "holds", **LARGER},
            "The inputs look the same, but the champion's errors are larger, although its score is not worse: the",
        ),
        ("insufficient", {"verdict": "holds", **FINE}, "The model still performs well; it is unknown whether the inputs changed."),
        ("drift", {"verdict": "cannot tell"}, "The inputs changed; without labels, it is unknown whether"),
        ("no drift", {"verdict": "cannot tell"}, "The inputs look the same; without labels, it is unknown whether"),
        ("insufficient", {"verdict": "cannot tell"}, ""),
    ],
)
def test_what_moved_is_said(drift: str, performance: dict[str, Any], sentence: str) -> None:
    made = decide(evidence_of({"verdict": drift, "severity": "slight"}, performance, BASELINE, "auto", "latest"), Policy())
    assert sentence in made.change
    assert bool(made.change) is bool(sentence)
    assert made.change.replace("'", "&#39;") in decision_page(made, Policy())


def test_reasons_hold_numbers() -> None:
    made = decide(evidence(performance="degraded"), Policy(hysteresis=AT_ONCE))
    assert made.reasons[0] == "Accuracy fell to 0.552 (0.5 to 0.6) from 0.781 (0.76 to 0.8) at promotion, more than the margin of 0.02."
    aged = decide(evidence(end="1981-02-01T00:00:00Z"), Policy(maximum_model_age_days=30))
    assert "31 days before the end of the window, more than the maximum of 30 days." in aged.reasons[0]


def test_drift_while_performance_holds_says_why_it_only_alerts() -> None:
    made = decide(evidence("drift", "severe"), Policy())
    assert (made.decision, made.alert) == ("keep", True)
    assert made.reasons[-1] == "Fresh labels show that performance holds, so the drift raises an alert but does not retrain."


def test_a_trigger_that_the_policy_leaves_out_does_not_decide_and_is_still_said() -> None:
    made = decide(evidence(performance="degraded"), read_policy("triggers: [no_champion, input_drift]"))
    assert (made.decision, made.rule, made.alert) == ("keep", "alert_only", True)
    assert made.reasons[-1] == "The policy does not retrain for: performance."


def test_the_policy_sets_the_severity_that_retrains() -> None:
    moderate = evidence("drift", "moderate", "cannot tell")
    assert decide(moderate, Policy()).decision == "keep"
    assert decide(moderate, read_policy("retrain_on_drift_severity: moderate")).rule == "hysteresis"
    assert decide(moderate, read_policy("{retrain_on_drift_severity: moderate, hysteresis: {needed: 1, windows: 1}}")).rule == "input_drift"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("maximum_age: 3", "Unknown setting 'maximum_age'.*Correct the name"),
        ("triggers: [moon]", r"triggers.0 is 'moon': .*'no_champion'"),
        ("maximum_model_age_days: -1", "maximum_model_age_days is -1"),
        ("version: 2", "version is 2"),
        ("/no/such/policy.yaml", "'policy.yaml' does not exist"),
    ],
)
def test_a_policy_that_cannot_be_used_is_named(policy: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_policy(policy)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (evidence(mode="always"), "Unknown policy_mode 'always'.*auto, force, dry-run"),
        (evidence(end="soon"), "window_end 'soon': expected an ISO time"),
    ],
)
def test_evidence_that_cannot_be_used_is_named(given: Evidence, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        decide(given, Policy())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"performance": "fine"},
            "performance result: verdict is 'fine'; expected one of 'holds', 'degraded', 'cannot tell', 'no champion'. .*monitor_performance",
        ),
        ({"drift": "storm"}, "drift result: verdict is 'storm'; expected one of 'drift', 'no drift', 'insufficient', 'no champion'. .*detect_drift"),
        ({"drift": "drift", "severity": "huge"}, "drift result: severity is 'huge'; expected one of 'none', 'slight', 'moderate', 'severe'. .*detect_drift"),
    ],
)
def test_verdicts_that_nobody_knows_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        evidence(**given)


def test_the_component_writes_decision_report_and_record(tmp_path: Path) -> None:
    given: dict[str, dict[str, Any]] = {
        "drift_result": {"verdict": "drift", "severity": "severe", "sentence": "Severe drift: 3 of 8 features changed."},
        "performance_result": {"verdict": "cannot tell", "sentence": "Only 4 labelled rows."},
        "baseline": BASELINE,
    }
    artifacts: dict[str, Any] = {}
    for name, content in given.items():
        (tmp_path / name).write_text(json.dumps(content))
        artifacts[name] = dsl.Artifact(name=name, uri=str(tmp_path / name), metadata={"present": True})
    artifacts["decision"] = dsl.Artifact(name="decision", uri=str(tmp_path / "out/decision"), metadata={})
    artifacts["decision_report"] = dsl.HTML(name="report", uri=str(tmp_path / "out/report"), metadata={})
    answer = decide_retraining.python_func(**artifacts, window_end="1981-02-01T00:00:00Z", ledger_uri=str(tmp_path / "ledger"), run_id="run-1")
    decision = json.loads((tmp_path / "out/decision").read_text())
    record = json.loads((tmp_path / "ledger/runs/run-1/decide_retraining.json").read_text())
    assert answer == decision["decision"] == record["outcome"] == "retrain"
    assert decision["reasons"] == ["Severe drift: 3 of 8 features changed.", "Cannot tell whether performance holds: Only 4 labelled rows."]
    assert record["details"] == decision
    assert "Severe drift: 3 of 8 features changed." in (tmp_path / "out/report").read_text()


def test_an_absent_baseline_retrains(tmp_path: Path) -> None:
    for name in ("drift_result", "performance_result"):
        (tmp_path / name).write_text('{"verdict": "no champion"}')
    artifacts: dict[str, Any] = {
        name: dsl.Artifact(name=name, uri=str(tmp_path / name), metadata={}) for name in ("drift_result", "performance_result", "decision")
    }
    absent = dsl.Artifact(name="baseline", uri=str(tmp_path / "baseline"), metadata={"present": False})
    report = dsl.HTML(name="report", uri=str(tmp_path / "report"), metadata={})
    assert decide_retraining.python_func(**artifacts, baseline=absent, decision_report=report) == "retrain"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("drift_result", {"verdict": "drift", "rows": {"current": "many"}}, "rows.current is 'many'; expected a whole number. .*written by detect_drift"),
        ("performance_result", {"verdict": "holds", "score": "high"}, "score is 'high'; expected a number. .*written by monitor_performance"),
        ("baseline", {"fit_end": 1981}, "fit_end is 1981; expected text. .*written by load_champion"),
        ("feedback", {"sources": []}, "present is missing; expected true or false. .*written by read_feedback"),
    ],
)
def test_a_result_that_cannot_be_read_is_named_with_its_file(tmp_path: Path, name: str, content: dict[str, Any], message: str) -> None:
    given = {"drift_result": {"verdict": "no drift"}, "performance_result": {"verdict": "holds"}, "baseline": BASELINE, name: content}
    artifacts: dict[str, Any] = {}
    for each, values in given.items():
        (tmp_path / each).write_text(json.dumps(values))
        artifacts[each] = dsl.Artifact(name=each, uri=str(tmp_path / each), metadata={"present": True})
    artifacts["decision"] = dsl.Artifact(name="decision", uri=str(tmp_path / "decision"), metadata={})
    report = dsl.HTML(name="report", uri=str(tmp_path / "report"), metadata={})
    with pytest.raises(PolicyError, match=f"{name.replace('_', ' ')} {tmp_path / name}: {message}"):
        decide_retraining.python_func(**artifacts, decision_report=report)
    assert not (tmp_path / "decision").exists(), "nothing was decided"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, ""),
        ({"policy_config": "event: the sensor was repaired"}, "An event calls for a retraining: the sensor was repaired."),
        ({"policy_config": "event: the sensor was repaired", "event": "a new product"}, "An event calls for a retraining: a new product."),
    ],
    ids=["none", "of the policy", "of the component"],
)
def test_an_event_comes_with_the_policy_or_with_the_component(tmp_path: Path, options: dict[str, str], reason: str) -> None:
    given = {"drift_result": {"verdict": "no drift"}, "performance_result": {"verdict": "holds", "metric": "accuracy", "score": 0.8}, "baseline": BASELINE}
    artifacts: dict[str, Any] = {}
    for name, content in given.items():
        (tmp_path / name).write_text(json.dumps(content))
        artifacts[name] = dsl.Artifact(name=name, uri=str(tmp_path / name), metadata={"present": True})
    artifacts["decision"] = dsl.Artifact(name="decision", uri=str(tmp_path / "decision"), metadata={})
    report = dsl.HTML(name="report", uri=str(tmp_path / "report"), metadata={})
    answer = decide_retraining.python_func(**artifacts, decision_report=report, window_end="1981-02-01T00:00:00Z", **options)
    assert answer == ("retrain" if reason else "keep")
    assert not reason or json.loads((tmp_path / "decision").read_text())["reasons"][0] == reason
