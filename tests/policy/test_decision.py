"""The decision for every combination of evidence, and what it says."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from evergreen.policy.component import decide_retraining
from evergreen.policy.decision import decide
from evergreen.policy.errors import PolicyError
from evergreen.policy.policy_file import Hysteresis, Policy, read_policy
from evergreen.policy.triggers import Evidence

AT_ONCE = Hysteresis(needed=1, windows=1)
BASELINE = {"present": True, "version": "3", "fit_end": "1981-01-01T00:00:00Z"}
DRIFTS = [("no drift", "none"), ("drift", "slight"), ("drift", "moderate"), ("drift", "severe"), ("insufficient", "none"), ("no champion", "none")]
TRIGGERS = ("no_champion", "explicit_request", "external_event", "performance", "follow_up", "input_drift", "prediction_drift", "new_data", "model_age")
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


def evidence(
    drift: str = "no drift", severity: str = "none", performance: str = "holds", *, champion: bool = True, mode: str = "auto", end: str = "latest"
) -> Evidence:
    baseline = BASELINE if champion else {"present": False}
    return Evidence({"verdict": drift, "severity": severity}, {"verdict": performance, **SCORES}, baseline, mode, end)


@pytest.mark.parametrize("mode", ["auto", "force", "dry-run"])
@pytest.mark.parametrize("champion", [True, False])
@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("maximum", [None, 10.0])
def test_truth_table(mode: str, champion: bool, old: bool, maximum: float | None) -> None:
    for (drift, severity), performance in itertools.product(DRIFTS, PERFORMANCES):
        end = "1981-02-01T00:00:00Z" if old else "1981-01-05T00:00:00Z"
        made = decide(evidence(drift, severity, performance, champion=champion, mode=mode, end=end), Policy(maximum_model_age_days=maximum, hysteresis=AT_ONCE))
        untold = performance in ("cannot tell", "no champion")
        if not champion:
            rule = "no_champion"
        elif mode == "force":
            rule = "explicit_request"
        elif performance == "degraded":
            rule = "performance"
        elif old and maximum:
            rule = "model_age"
        elif severity == "severe" and untold:
            rule = "input_drift"
        else:
            rule = "alert_only" if drift == "drift" else "all_quiet"
        assert made.rule == rule
        assert made.decision == ("keep" if rule in ("alert_only", "all_quiet") else "retrain")
        assert made.alert is (drift == "drift" or performance == "degraded")
        assert made.reasons
        assert all(reason.endswith(".") and reason[0].isupper() for reason in made.reasons)
        if champion and performance == "cannot tell":
            assert any("cannot be told" in reason for reason in made.reasons)
        if champion and drift == "insufficient":
            assert any("Whether the inputs drift cannot be told" in reason for reason in made.reasons)
        assert [trigger.name for trigger in made.triggers] == list(TRIGGERS)


def test_reasons_hold_numbers() -> None:
    made = decide(evidence(performance="degraded"), Policy(hysteresis=AT_ONCE))
    assert made.reasons[0] == "Accuracy fell from 0.781 (0.76 to 0.8) to 0.552 (0.5 to 0.6), more than the margin of 0.02."
    aged = decide(evidence(end="1981-02-01T00:00:00Z"), Policy(maximum_model_age_days=30))
    assert "31 days before the end of the window, more than the maximum of 30 days." in aged.reasons[0]


def test_drift_while_performance_holds_says_why_it_only_alerts() -> None:
    made = decide(evidence("drift", "severe"), Policy())
    assert (made.decision, made.alert) == ("keep", True)
    assert made.reasons[-1] == "Fresh labels show that performance holds, so the drift alerts and does not retrain."


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
        ("maximum_age: 3", "'maximum_age' is no setting"),
        ("triggers: [moon]", r"triggers.0 is 'moon': .*'no_champion'"),
        ("maximum_model_age_days: -1", "maximum_model_age_days is -1"),
        ("version: 2", "version is 2"),
        ("/no/such/policy.yaml", "there is no such file"),
    ],
)
def test_a_policy_that_cannot_be_used_is_named(policy: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_policy(policy)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (evidence(mode="always"), "policy_mode 'always': expected one of auto, force, dry-run"),
        (evidence(performance="fine"), "verdict 'fine' is unknown"),
        (evidence("storm"), "verdict 'storm' is unknown"),
        (evidence("drift", "huge"), "severity 'huge' is unknown"),
        (evidence(end="soon"), "window_end 'soon' is no time"),
    ],
)
def test_evidence_that_cannot_be_used_is_named(given: Evidence, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        decide(given, Policy())


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
    assert decision["reasons"] == ["Severe drift: 3 of 8 features changed.", "Whether performance holds cannot be told: Only 4 labelled rows."]
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
