"""The probe as a trigger, waiting for rows since a change, follow-ups as these rows double, and what a challenger is told."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.errors import PolicyError
from evergreen.policy.decision import DECIDING, RELATION_CHANGED, decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.policy.history import read_history
from evergreen.policy.policy_file import Policy, read_policy
from evergreen.registry.ledger import Entry, Ledger
from evergreen.results.decision import Decision
from evergreen.storage.opening import open_store
from policy.given_evidence import evidence_of

if TYPE_CHECKING:
    from pathlib import Path

BASELINE = {"present": True, "version": "3", "fit_start": "2019-01-01T00:00:00Z", "fit_end": "2020-01-01T00:00:00Z"}
BEST = {"name": "the last 90 days", "score": 0.81, "gain": 0.15, "gain_lower": 0.08}
SENTENCES = {"better": "A model of the last 90 days would score 0.81.", "no better": "No model is better.", "cannot tell": "The probe cannot tell: 3 rows."}
ENOUGH = Policy().minimum_rows_since_change
CHANGED = "2020-04-20T00:00:00Z"


def probed(verdict: str) -> dict[str, Any]:
    best = BEST if verdict != "cannot tell" else None
    return {"verdict": verdict, "sentence": SENTENCES[verdict], "metric": "accuracy", "minimum_gain": 0.02, "champion_score": 0.66, "best": best}


def evidence(probe: str = "better", *past: PastDecision, performance: str = "holds", end: str = "2020-05-01T00:00:00Z", **more: Any) -> Evidence:
    """Return evidence; ``told`` are further fields of the performance result."""
    result = {"verdict": performance, "metric": "accuracy", "score": 0.66, "probe": probed(probe) if probe else None, **more.pop("told", {})}
    drift = {"verdict": "no drift", "severity": "none", "rows": {"current": 100}}
    baseline = more.pop("baseline", BASELINE)
    return evidence_of(drift, result, baseline, more.pop("mode", "auto"), end, history=past, **more)


def since_change(rows: int, changed_at: str = CHANGED) -> dict[str, Any]:
    return {"changed_at": changed_at, "rows_since_change": rows}


def past(month: int, rule: str = "", *, decision: str = "retrain", **more: Any) -> PastDecision:
    return PastDecision(f"2020-{month:02}-01T00:00:00Z", decision, (rule,) if rule else (), 50, rule, **more)


def test_a_better_model_retrains_at_once_though_performance_holds() -> None:
    made = decide(evidence(), Policy())
    assert (made.decision, made.rule, made.choose_rows, made.champion_stale) == ("retrain", "probe", True, True)
    assert made.reasons[0] == SENTENCES["better"]
    said = next(trigger for trigger in made.triggers if trigger.name == "probe")
    # In a champion's first window, the gain must be twice the minimum.
    assert (said.value, said.threshold, said.verdict) == (0.15, 0.04, "fired")


def test_in_a_champions_first_window_a_small_gain_is_left_for_the_next_one() -> None:
    small = {"probe": {**probed("better"), "best": {**BEST, "gain": 0.03}}}
    first = decide(evidence(told=small), Policy())
    said = next(trigger for trigger in first.triggers if trigger.name == "probe")
    assert (first.decision, said.verdict, said.threshold) == ("keep", "quiet", 0.04)
    assert "at least 0.04" in said.sentence
    later = decide(evidence("better", past(4, decision="keep"), told=small), Policy())
    said = next(trigger for trigger in later.triggers if trigger.name == "probe")
    assert (later.decision, later.rule, said.threshold) == ("retrain", "probe", 0.02)


@pytest.mark.parametrize(("probe", "verdict"), [("no better", "quiet"), ("cannot tell", "cannot tell"), ("", "cannot tell")])
def test_without_a_better_model_the_champion_stays(probe: str, verdict: str) -> None:
    made = decide(evidence(probe), Policy())
    assert (made.decision, made.rule, made.alert) == ("keep", "all_quiet", False)
    said = next(trigger for trigger in made.triggers if trigger.name == "probe")
    assert said.verdict == verdict
    assert said.sentence.endswith(".")


def test_a_policy_without_the_probe_reports_it_and_does_not_retrain() -> None:
    others = [name for name in Policy().triggers if name != "probe"]
    made = decide(evidence(), read_policy(json.dumps({"triggers": others})))
    assert (made.decision, made.choose_rows) == ("keep", False)
    assert made.reasons[-1] == "The policy does not retrain for: probe."


@pytest.mark.parametrize("performance", ["holds", "degraded", "cannot tell"])
@pytest.mark.parametrize("mode", ["auto", "force"])
@pytest.mark.parametrize("event", ["none", "a new sensor"])
@pytest.mark.parametrize("old", [True, False])
def test_the_order_of_precedence(performance: str, mode: str, event: str, *, old: bool) -> None:
    policy = Policy(hysteresis={"needed": 1, "windows": 1}, maximum_model_age_days=30.0 if old else None)
    for probe, champion, promoted in itertools.product(("better", "no better", "cannot tell"), (True, False), (True, False)):
        history = [past(4, "performance", promoted=True)] if promoted else []
        given = evidence(probe, *history, performance=performance, mode=mode, event=event, baseline=BASELINE if champion else None)
        made = decide(given, policy)
        asking = {
            "no_champion": not champion,
            "explicit_request": mode == "force",
            "external_event": event != "none",
            "performance": performance == "degraded",
            "probe": probe == "better",
            "follow_up": promoted and champion,
            "model_age": old and champion,
            "all_quiet": True,
        }
        assert made.rule == next(name for name, asks in asking.items() if asks)
        fired = {trigger.name for trigger in made.triggers if trigger.verdict == "fired"}
        assert ("probe" in fired) is (probe == "better")
        assert made.choose_rows is (made.decision == "retrain" and (made.rule in ("external_event", "follow_up") or bool(fired & set(RELATION_CHANGED))))
    assert DECIDING.index("performance") < DECIDING.index("probe") < DECIDING.index("follow_up")


@pytest.mark.parametrize("rule", ["performance", "probe", "feedback"])
def test_a_challenger_waits_for_rows_since_the_change(rule: str) -> None:
    complaints = {"present": True, "rows": 400, "sources": [{"source": f"user{number}", "rows": 10, "negative": 9} for number in range(40)]}
    more: dict[str, Any] = {
        "performance": {"probe": "no better", "performance": "degraded"},
        "probe": {"probe": "better"},
        "feedback": {"probe": "no better", "feedback": complaints},
    }[rule]
    policy = Policy(hysteresis={"needed": 1, "windows": 1})
    few = decide(evidence(**more, told=since_change(ENOUGH - 1)), policy)
    assert (few.decision, few.rule, few.alert, few.choose_rows) == ("keep", "few_rows", True, False)
    assert few.reasons[-1] == (
        f"The policy waits: only {ENOUGH - 1} labelled rows have come since the champion's errors changed on 2020-04-20; "
        f"a challenger is trained when there are about {ENOUGH}."
    )
    enough = decide(evidence(**more, told=since_change(ENOUGH)), policy)
    assert (enough.decision, enough.rule, enough.choose_rows) == ("retrain", rule, True)
    # Where the time of the change is unknown, there is nothing to wait for.
    assert decide(evidence(**more, told=since_change(0, changed_at="")), policy).rule == rule
    never = read_policy("{minimum_rows_since_change: 0, hysteresis: {needed: 1, windows: 1}}")
    assert decide(evidence(**more, told=since_change(1)), never).rule == rule


@pytest.mark.parametrize(("mode", "event"), [("force", "none"), ("auto", "a new sensor")])
def test_a_request_and_an_event_wait_for_no_rows(mode: str, event: str) -> None:
    made = decide(evidence(told=since_change(1), mode=mode, event=event), Policy())
    assert (made.decision, made.choose_rows) == ("retrain", True)


def test_rows_since_the_change_below_nothing_are_a_mistake() -> None:
    with pytest.raises(PolicyError, match="minimum_rows_since_change is -1"):
        read_policy("minimum_rows_since_change: -1")


def test_the_probe_backs_off_after_challengers_that_were_rejected() -> None:
    # Three were rejected: the next one comes in the second window after the last.
    tried = (past(2, "probe"), past(3, "probe"), past(4, "probe"))
    waiting = decide(evidence("better", *tried), Policy())
    assert (waiting.decision, waiting.rule, waiting.alert) == ("keep", "back_off", True)
    assert "3 challengers were no better than this champion, so the next one is trained 2 windows after the last" in waiting.reasons[-1]
    later = decide(evidence("better", *tried, past(5, decision="keep"), end="2020-06-01T00:00:00Z"), Policy())
    assert (later.decision, later.rule) == ("retrain", "probe")
    assert decide(evidence("better", *tried), read_policy("back_off: false")).rule == "probe"
    # Challengers of a champion before this one do not count.
    old = tuple(replace(one, window_end=one.window_end.replace("2020", "2019")) for one in tried)
    assert decide(evidence("better", *old), Policy()).rule == "probe"


def test_the_probe_needs_no_second_window_and_what_was_held_back_is_reported() -> None:
    # Performance waits for a second window; the probe does not.
    assert decide(evidence("better", performance="degraded"), Policy()).rule == "probe"
    assert decide(evidence("no better", performance="degraded"), Policy()).rule == "hysteresis"


FIRST = past(1, "performance", promoted=True, changed_at="2019-12-22T00:00:00Z")
"""It was trained 10 days after the change."""


@pytest.mark.parametrize(
    ("end", "fires"),
    [("2020-01-10T00:00:00Z", False), ("2020-01-11T00:00:00Z", True), ("2020-01-25T00:00:00Z", True)],
)
def test_a_follow_up_comes_when_the_time_since_the_change_has_doubled(end: str, *, fires: bool) -> None:
    given = evidence("no better", FIRST, end=end)
    assert (decide(given, Policy()).rule == "follow_up") is fires


def test_follow_ups_double_again_and_end() -> None:
    """Windows of ten days: 10 days after the change a challenger was promoted; the next ones come 20, 40 and 80 days after it."""
    import datetime

    history, found = [FIRST], []
    for number in range(1, 13):
        end = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc) + datetime.timedelta(days=10 * number)
        made = decide(evidence("no better", *history, end=end.isoformat()), read_policy("follow_up_windows: 12"))
        retrained = made.rule == "follow_up"
        found += [10 + 10 * number] if retrained else []
        history.append(PastDecision(end.isoformat(), made.decision, made.fired, 50, made.rule, changed_at=made.changed_at))
    assert found == [20, 40, 80]
    assert decide(evidence("no better", *history[:3], end="2020-02-10T00:00:00Z"), read_policy("follow_up_windows: 0")).rule == "all_quiet"


def test_a_follow_up_chooses_rows_and_hands_on_since_when() -> None:
    made = decide(evidence("no better", FIRST, end="2020-01-15T00:00:00Z"), Policy())
    assert (made.rule, made.choose_rows, made.champion_stale, made.changed_at) == ("follow_up", True, True, FIRST.changed_at)


def test_a_probe_that_found_more_rows_is_no_change_to_follow_up() -> None:
    promoted = past(1, "probe", promoted=True)
    assert decide(evidence("no better", promoted, end="2020-01-15T00:00:00Z"), Policy()).rule == "all_quiet"
    known = replace(promoted, changed_at=FIRST.changed_at)
    assert decide(evidence("no better", known, end="2020-01-15T00:00:00Z"), Policy()).rule == "follow_up"


@pytest.mark.parametrize(
    ("given", "chooses"),
    [
        ({"probe": "better"}, True),
        ({"probe": "no better", "performance": "degraded"}, True),
        ({"probe": "no better", "event": "a new sensor"}, True),
        ({"probe": "no better", "baseline": None}, False),
        ({"probe": "no better", "mode": "force"}, False),
        ({"probe": "better", "mode": "force"}, True),
        ({"probe": "no better"}, False),
    ],
)
def test_rows_are_chosen_where_the_relation_may_have_changed(given: dict[str, Any], *, chooses: bool) -> None:
    at_once = {"hysteresis": {"needed": 1, "windows": 1}}
    assert decide(evidence(**given), Policy(**at_once)).choose_rows is chooses
    assert decide(evidence(**given), Policy(**at_once, training_window="fixed")).choose_rows is False


@pytest.mark.parametrize("policy", ["maximum_model_age_days: 30", "minimum_new_rows: 50"])
def test_age_and_new_rows_alone_choose_nothing(policy: str) -> None:
    made = decide(evidence("no better"), read_policy(policy))
    assert (made.decision, made.choose_rows) == ("retrain", False)
    assert decide(evidence("better"), read_policy(policy)).choose_rows is True


def test_since_when_the_errors_differ_is_handed_on_and_read_again(tmp_path: Path) -> None:
    made = decide(evidence(told=since_change(ENOUGH)), Policy())
    assert made.changed_at == CHANGED
    again = Decision.from_json(json.loads(json.dumps(made.to_json())), source="decision", error=PolicyError)
    assert again == made
    ledger = Ledger(open_store(str(tmp_path)), "rain")
    ledger.append(Entry("retraining", run_id="a", step_name="decide", evidence=made.to_json()))
    ledger.append(Entry("promotion", version_after="4", run_id="a", step_name="deploy", challenger_id="c"))
    (known,) = read_history(ledger, run_id="b")
    assert (known.changed_at, known.rule, known.promoted, known.completed) == (CHANGED, "probe", True, True)


@pytest.mark.parametrize("probe", ["better", "no better", "cannot tell", ""])
@pytest.mark.parametrize("performance", ["holds", "degraded", "cannot tell"])
@pytest.mark.parametrize("rows", [0, ENOUGH - 1, ENOUGH])
def test_the_same_evidence_always_gives_the_same_decision(probe: str, performance: str, rows: int) -> None:
    history = (FIRST, past(2, "probe"), past(3, "performance"), past(4, decision="keep"))
    made = [
        decide(evidence(probe, *order, performance=performance, told=since_change(rows)), Policy()).to_json()
        for order in (history, tuple(reversed(history)), history)
    ]
    assert made[0] == made[1] == made[2]


@pytest.mark.parametrize("changed_at", ["yesterday", "2020-13-01"])
def test_a_time_of_change_in_the_history_that_is_none_is_named(changed_at: str) -> None:
    with pytest.raises(PolicyError, match=f"Invalid changed_at of an earlier decision '{changed_at}'"):
        decide(evidence("no better", replace(FIRST, changed_at=changed_at), end="2020-01-15T00:00:00Z"), Policy())
