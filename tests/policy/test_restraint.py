"""What holds a retraining back: hysteresis, cool-down, budget, vetoes; and where history comes from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.errors import PolicyError
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.policy.history import read_history
from evergreen.policy.policy_file import Policy, read_policy
from evergreen.registry.ledger import Entry, Ledger
from evergreen.results.baseline import Baseline
from evergreen.results.drift import PREDICTION, DriftResult, FeatureDrift, FeatureMeasurement
from evergreen.results.performance import PerformanceResult
from evergreen.storage.opening import open_store
from policy.given_evidence import evidence_of

if TYPE_CHECKING:
    from pathlib import Path

BASELINE = {"present": True, "version": "3", "fit_end": "2020-01-01T00:00:00Z"}


def evidence(performance: str = "degraded", *past: PastDecision, end: str = "2020-05-01T00:00:00Z", **more: Any) -> Evidence:
    drift = {"verdict": "no drift", "severity": "none", "rows": {"current": 100}}
    return evidence_of(drift, {"verdict": performance, "metric": "accuracy", "score": 0.6}, BASELINE, "auto", end, history=past, **more)


def past(month: int, *fired: str, decision: str = "keep", rule: str = "", rows: int = 50) -> PastDecision:
    return PastDecision(f"2020-{month:02}-01T00:00:00Z", decision, fired, rows, rule)


FIRST_WINDOW = "hysteresis: {needed: 1, windows: 1}"
AT_ONCE = f"{FIRST_WINDOW}, back_off: false"
HYSTERESIS = read_policy("hysteresis: {needed: 2, windows: 3}")


@pytest.mark.parametrize(
    ("history", "retrains"),
    [
        ((), False),
        ((past(4, "performance"),), True),
        ((past(3, "performance"), past(4)), True),
        ((past(2, "performance"), past(3), past(4)), False),
        ((past(4, "input_drift"),), False),
    ],
)
def test_performance_has_to_speak_in_enough_of_the_last_windows(history: tuple[PastDecision, ...], retrains: bool) -> None:
    made = decide(evidence("degraded", *history), HYSTERESIS)
    assert made.decision == ("retrain" if retrains else "keep")
    assert made.rule == ("performance" if retrains else "hysteresis")
    assert made.alert
    assert retrains or "2 of 3 are required" in made.reasons[-1]
    # The order in which history is told does not matter, nor do windows of an earlier champion, nor windows that are later.
    told = (*reversed(history), PastDecision("2019-12-01T00:00:00Z", "keep", ("performance",)), PastDecision("2020-06-01T00:00:00Z", "keep", ("performance",)))
    assert decide(evidence("degraded", *told), HYSTERESIS) == made


def test_the_newest_window_is_among_those_that_count() -> None:
    assert decide(evidence("holds", past(3, "performance"), past(4, "performance")), HYSTERESIS).rule == "all_quiet"


def test_a_certain_drop_needs_no_second_window() -> None:
    steep = PerformanceResult("degraded", "accuracy", 0.5, drop=0.25, drop_lower=0.15, drop_upper=0.35)
    assert decide(replace(evidence(), performance=steep), Policy()).rule == "performance"
    assert decide(replace(evidence(), performance=replace(steep, drop=0.15, drop_lower=0.05, drop_upper=0.25)), Policy()).rule == "hysteresis"
    assert decide(replace(evidence(), performance=replace(steep, drop_upper=None)), Policy()).rule == "hysteresis"


def test_rejected_challengers_make_the_policy_wait() -> None:
    once = past(2, "performance", decision="retrain", rule="performance")
    again, third = (past(month, "performance", decision="retrain", rule="performance") for month in (3, 4))
    assert decide(evidence("degraded", past(1, "performance"), once, past(3, "performance")), Policy()).rule == "performance"
    assert decide(evidence("degraded", once, again, end="2020-04-01T00:00:00Z"), Policy()).rule == "performance"
    waiting = decide(evidence("degraded", once, again, third, end="2020-05-01T00:00:00Z"), Policy())
    assert (waiting.decision, waiting.rule, waiting.alert) == ("keep", "back_off", True)
    assert "3 challengers were no better than this champion, so the next one is trained 2 windows after the last; this is window 1." in waiting.reasons[-1]
    assert decide(evidence("degraded", once, again, third, past(5, "performance"), end="2020-06-01T00:00:00Z"), Policy()).rule == "performance"
    assert decide(evidence("degraded", once, again, third, end="2020-05-01T00:00:00Z"), read_policy("back_off: false")).rule == "performance"


def test_cooldown_and_budget() -> None:
    retrained = (past(3, decision="retrain"), past(4, decision="retrain"))
    cool = decide(evidence("degraded", *retrained), read_policy(f"{{cooldown_days: 45, {AT_ONCE}}}"))
    assert (cool.decision, cool.rule) == ("keep", "cooldown")
    assert "the last retraining was 30 days ago, within the cool-down of 45 days" in cool.reasons[-1]
    assert decide(evidence("degraded", *retrained), read_policy(f"{{cooldown_days: 30, {AT_ONCE}}}")).rule == "performance"
    spent = decide(evidence("degraded", *retrained), read_policy(f"{{budget: {{retrains: 2, days: 90}}, {AT_ONCE}}}"))
    assert (spent.decision, spent.rule) == ("keep", "budget")
    assert "2 retrainings in the last 90 days, with 2 allowed" in spent.reasons[-1]
    assert decide(evidence("degraded", *retrained), read_policy(f"{{budget: {{retrains: 2, days: 60}}, {AT_ONCE}}}")).rule == "performance"


def test_a_retraining_that_failed_starts_no_cool_down_and_counts_as_no_rejected_challenger_but_is_spent() -> None:
    failed = [replace(past(month, "performance", decision="retrain", rule="performance"), completed=False) for month in (3, 4)]
    assert decide(evidence("degraded", *failed), read_policy(f"{{cooldown_days: 300, {AT_ONCE}}}")).rule == "performance"
    assert decide(evidence("degraded", *failed), read_policy(f"{{{FIRST_WINDOW}}}")).rule == "performance"
    assert decide(evidence("degraded", *failed), read_policy(f"{{budget: {{retrains: 2, days: 90}}, {AT_ONCE}}}")).rule == "budget"


def test_many_days_are_written_out() -> None:
    old = replace(evidence("holds"), baseline=Baseline(version="3", fit_end="1990-05-01T00:00:00Z"))
    assert "10,958 days before the end of the window" in next(
        trigger.sentence for trigger in decide(old, read_policy("default")).triggers if trigger.name == "model_age"
    )


def test_a_clock_that_jumped_back_counts_no_later_retraining() -> None:
    later = PastDecision("2020-09-01T00:00:00Z", "retrain", ("performance",))
    assert decide(evidence("degraded", later), read_policy(f"{{cooldown_days: 45, {AT_ONCE}}}")).rule == "performance"


@pytest.mark.parametrize("policy", ["cooldown_days: 300", "budget: {retrains: 1, days: 3000}", "hysteresis: {needed: 3, windows: 3}"])
def test_a_request_is_never_held_back(policy: str) -> None:
    asked = replace(evidence("degraded", past(4, decision="retrain")), mode="force", rollout_under_way=True)
    assert decide(asked, read_policy(policy)).rule == "explicit_request"
    assert decide(replace(asked, mode="auto", baseline=None), read_policy(policy)).rule == "no_champion"


@pytest.mark.parametrize(
    ("veto", "given"),
    [
        ("contract_warnings", {"validation": "passed with warnings"}),
        ("rollout_under_way", {"rollout_under_way": True}),
    ],
)
def test_vetoes(veto: str, given: dict[str, Any]) -> None:
    vetoed = decide(evidence("degraded", **given), read_policy(f"{{vetoes: [{veto}], {AT_ONCE}}}"))
    assert (vetoed.decision, vetoed.rule, vetoed.alert) == ("keep", f"veto_{veto}", True)
    assert vetoed.reasons[-1].startswith("The policy does not retrain")
    assert decide(evidence("degraded", **given), read_policy(f"{{vetoes: [], {AT_ONCE}}}")).rule == "performance"


def test_too_little_data_can_be_a_veto() -> None:
    blind = replace(evidence("cannot tell"), drift=DriftResult("insufficient"))
    policy = "{maximum_model_age_days: 30, vetoes: [insufficient_data]}"
    assert decide(blind, read_policy(policy)).rule == "veto_insufficient_data"
    assert decide(blind, read_policy("maximum_model_age_days: 30")).rule == "model_age"


def test_other_triggers() -> None:
    assert decide(evidence("holds", event="the station moved"), Policy()).reasons[0] == "An event calls for a retraining: the station moved."
    rows = decide(evidence("holds", past(2), past(3)), read_policy("minimum_new_rows: 200"))
    assert (rows.rule, rows.rows) == ("new_data", 100)
    assert rows.reasons[0].startswith("200 rows have arrived since the champion was fitted")
    assert decide(evidence("holds", past(2)), read_policy("minimum_new_rows: 200")).rule == "all_quiet"
    predictions = FeatureDrift(FeatureMeasurement(PREDICTION), drift=True, severity="severe")
    drifting = replace(evidence("cannot tell"), drift=DriftResult("drift", "slight", prediction=predictions))
    assert decide(drifting, Policy()).rule == "prediction_drift"
    assert decide(replace(drifting, performance=PerformanceResult("holds")), Policy()).rule == "alert_only"


def test_a_promotion_for_degraded_performance_is_followed_up() -> None:
    promoted = past(1, "performance", decision="retrain", rule="performance")
    watched = (promoted, past(2), past(3), past(4))
    rules = [decide(evidence("holds", *watched[:count], end=f"2020-{count + 1:02}-01T00:00:00Z"), Policy()).rule for count in (1, 2, 3, 4)]
    assert rules == ["follow_up", "follow_up", "all_quiet", "follow_up"], "whenever the rows since the change have doubled"
    assert decide(evidence("holds", *watched), read_policy("follow_up_windows: 3")).rule == "all_quiet"
    rejected = past(2, "performance", decision="retrain", rule="performance")
    assert decide(evidence("holds", rejected, past(3)), Policy()).rule == "all_quiet", "the challenger did not become champion"


def test_age_counts_from_the_last_challenger() -> None:
    policy = read_policy("maximum_model_age_days: 60")
    assert decide(evidence("holds"), policy).rule == "model_age"
    tried = decide(evidence("holds", past(4, decision="retrain", rule="model_age")), policy)
    assert tried.rule == "all_quiet"
    age = next(trigger for trigger in tried.triggers if trigger.name == "model_age")
    assert (age.value, age.verdict) == (30, "quiet")
    assert "a challenger was trained on newer rows 30 days ago" in age.sentence


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("hysteresis: {needed: 3, windows: 2}", "needed 3 exceeds windows 2"),
        ("{cooldown_days: 90, maximum_model_age_days: 30}", "cooldown_days 90 is longer than maximum_model_age_days 30"),
        ("budget: {retrains: -1, days: 3}", "budget.retrains is -1"),
        ("vetoes: [moonlight]", "vetoes.0 is 'moonlight'"),
        ("cooldown_days: .inf", "cooldown_days is inf"),
    ],
)
def test_contradictory_and_negative_thresholds_are_named(policy: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        read_policy(policy)


def test_a_time_that_is_none_is_named() -> None:
    with pytest.raises(PolicyError, match="Invalid window_end of an earlier decision 'yesterday'"):
        decide(evidence("degraded", PastDecision("yesterday", "keep")), HYSTERESIS)


def test_history_comes_from_the_models_ledger(tmp_path: Path) -> None:
    ledger = Ledger(open_store(str(tmp_path)), "rain")
    fired = [{"name": "performance", "verdict": "fired"}, {"name": "model_age", "verdict": "quiet"}]
    kept = {"decision": "keep", "window_end": "2020-03-01T00:00:00Z", "triggers": fired, "rows": 7, "rule": "hysteresis"}
    ledger.append(Entry("kept", run_id="a", step_name="keep_champion", evidence=kept))
    ledger.append(Entry("retraining", run_id="b", step_name="decide", evidence={**kept, "decision": "retrain", "window_end": "2020-04-01T00:00:00Z"}))
    ledger.append(Entry("rejection", run_id="b", step_name="reject", evidence={"verdict": "reject"}))
    ledger.append(Entry("retraining", run_id="d", step_name="decide", evidence={**kept, "decision": "retrain", "window_end": "2020-05-01T00:00:00Z"}))
    assert read_history(ledger, run_id="c") == (
        PastDecision("2020-05-01T00:00:00Z", "retrain", ("performance",), 7, "hysteresis", completed=False),
        PastDecision("2020-04-01T00:00:00Z", "retrain", ("performance",), 7, "hysteresis"),
        PastDecision("2020-03-01T00:00:00Z", "keep", ("performance",), 7, "hysteresis"),
    )
    assert [decision.window_end for decision in read_history(ledger, run_id="d")] == ["2020-04-01T00:00:00Z", "2020-03-01T00:00:00Z"], (
        "a retried step decides as it did before"
    )
    assert read_history(None, run_id="c") == ()
