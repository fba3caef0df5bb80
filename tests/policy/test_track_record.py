"""Performance against the whole track record, how far back a challenger may learn, and when a champion is too old or stale."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.data.json_values import plain
from evergreen.metrics.intervals import NORMAL_QUANTILE
from evergreen.performance.report import performance_page
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.policy.history import read_history
from evergreen.policy.policy_file import Policy, read_policy
from evergreen.policy.report import decision_page
from evergreen.policy.track_record import measured, with_track_record
from evergreen.policy.triggers import model_age
from evergreen.registry.ledger import Entry, Ledger
from evergreen.results.decision import Decision, Measurement
from evergreen.results.performance import PerformanceResult
from evergreen.storage.opening import open_store
from policy.given_evidence import evidence_of

if TYPE_CHECKING:
    from pathlib import Path

BASELINE = {"present": True, "version": "3", "fit_start": "2019-01-01T00:00:00Z", "fit_end": "2020-01-01T00:00:00Z"}
AT_ONCE = read_policy("hysteresis: {needed: 1, windows: 1}")


def interval(score: float, error: float, prefix: str = "") -> dict[str, float]:
    return {f"{prefix}score": score, f"{prefix}lower": score - NORMAL_QUANTILE * error, f"{prefix}upper": score + NORMAL_QUANTILE * error}


def performance(score: float, *, promoted_with: float = 0.85, error: float = 0.02, verdict: str = "degraded", margin: float = 0.0) -> dict[str, Any]:
    return {"verdict": verdict, "metric": "accuracy", "margin": margin, **interval(score, error), **interval(promoted_with, 0.02, "baseline_")}


def past(month: int, score: float | None = None, *fired: str, **more: Any) -> PastDecision:
    seen = None if score is None else Measurement("accuracy", **interval(score, 0.02))
    return PastDecision(f"2020-{month:02}-01T00:00:00Z", more.pop("decision", "keep"), fired, 50, measured=seen, **more)


def evidence(result: dict[str, Any], *history: PastDecision, end: str = "2020-12-01T00:00:00Z", **baseline: Any) -> Evidence:
    drift = {"verdict": "no drift", "severity": "none", "rows": {"current": 100}}
    return evidence_of(drift, result, {**BASELINE, **baseline}, "auto", end, history=history)


def test_windows_since_the_promotion_correct_a_lucky_baseline() -> None:
    lucky = performance(0.78, promoted_with=0.86)
    assert decide(evidence(lucky), AT_ONCE).rule == "performance"
    watched = [past(month, 0.79) for month in range(2, 12)]
    made = decide(evidence(lucky, *watched), AT_ONCE)
    assert (made.decision, made.rule) == ("keep", "all_quiet")
    said = next(trigger for trigger in made.triggers if trigger.name == "performance")
    assert said.verdict == "quiet"
    record = "0.796 (0.784 to 0.809) expected from its track record (the promotion and 10 windows since; 0.86 (0.821 to 0.899) at promotion)"
    assert said.sentence == f"Accuracy holds: 0.78 (0.741 to 0.819), against {record}."


def test_the_record_is_the_random_effects_mean_and_the_new_window_meets_its_prediction_interval() -> None:
    scores, error = [0.85, 0.75, 0.8, 0.79], 0.02
    compared = with_track_record(evidence(performance(0.7), *[past(number, score) for number, score in enumerate(scores[1:], start=2)]))
    found = compared.performance
    # Equal errors: the mean is the plain one, and DerSimonian and Laird's variance between windows is the sample variance minus the error's.
    mean = sum(scores) / 4
    between = sum((score - mean) ** 2 for score in scores) / 3 - error**2
    assert between > 0
    mean_error = math.sqrt((error**2 + between) / 4)
    assert found.baseline_score == 0.85, "the score at promotion stays what it was"
    assert found.expected is not None
    assert found.expected.score == pytest.approx(mean)
    assert found.expected.upper - found.expected.lower == pytest.approx(2 * NORMAL_QUANTILE * mean_error)
    assert found.drop_upper - found.drop == pytest.approx(NORMAL_QUANTILE * math.sqrt(mean_error**2 + between + error**2))
    assert (found.drop, found.expected.windows, compared.windows_compared) == (pytest.approx(mean - 0.7), 3, 3)


def test_the_record_shows_a_fall_that_the_promotion_alone_hides() -> None:
    unlucky = performance(0.7, promoted_with=0.74, verdict="holds")
    assert decide(evidence(unlucky), AT_ONCE).rule == "all_quiet"
    made = decide(evidence(unlucky, *[past(month, 0.8) for month in range(2, 12)]), AT_ONCE)
    assert made.rule == "performance"
    record = "0.795 (0.783 to 0.806) expected from its track record (the promotion and 10 windows since; 0.74 (0.701 to 0.779) at promotion)"
    assert made.reasons[0] == f"Accuracy fell to 0.7 (0.661 to 0.739) from {record}, more than chance can explain."


def test_both_pages_show_the_same_numbers_under_the_same_names() -> None:
    given = evidence(performance(0.7, promoted_with=0.784), *[past(month, 0.82) for month in range(2, 7)])
    made = decide(given, AT_ONCE)
    watched, decided = performance_page(given.performance), decision_page(made, AT_ONCE)
    expected = with_track_record(given).performance.expected
    assert expected is not None
    assert f"{expected.score:.3g}" == "0.814"
    for page in (watched, decided):
        assert row(page, "At promotion") == "0.784"
        assert row(page, "Now") == "0.7"
    assert row(decided, "Expected from its track record") == "0.814"
    assert "Expected from its track record" not in watched, "the step that scores does not know earlier windows"
    # Nothing else is ever said to be the score at promotion.
    everything = " ".join([given.performance.sentence, *made.reasons, *(trigger.sentence for trigger in made.triggers)])
    assert set(re.findall(r"([0-9.]+)(?: \([^()]*\))? at promotion", everything)) == {"0.784"}
    kept = Decision.from_json(plain(made.to_json()), source="decision")
    assert (kept.at_promotion, kept.expected) == (Measurement("accuracy", **interval(0.784, 0.02)), expected)


def row(page: str, name: str) -> str:
    """Return the first value of a row of a page's table."""
    found = re.search(rf"<t[dh][^>]*>{name}</t[dh]>\s*<td[^>]*>([^<]*)</td>", page)
    assert found is not None, name
    return found[1].strip()


@pytest.mark.parametrize(
    "left_out",
    [
        past(2, 0.5, "performance"),
        replace(past(2, 0.5), measured=Measurement(**{**interval(0.5, 0.02), "metric": "roc_auc"})),
        replace(past(2, 0.5), measured=Measurement("accuracy", 0.5)),
        replace(past(2, 0.5), window_end="2019-06-01T00:00:00Z"),
        past(2),
    ],
    ids=["degraded", "other metric", "no interval", "earlier champion", "not measured"],
)
def test_windows_that_do_not_tell_are_left_out(left_out: PastDecision) -> None:
    given = evidence(performance(0.8), left_out)
    assert with_track_record(given) == given


@pytest.mark.parametrize("result", [{"verdict": "cannot tell"}, {"verdict": "holds", "score": 0.8}, {**performance(0.8), "baseline_lower": None}])
def test_without_intervals_nothing_is_compared(result: dict[str, Any]) -> None:
    given = evidence(result, past(2, 0.7))
    assert with_track_record(given) == given


def test_a_drop_below_the_margin_is_none() -> None:
    small = performance(0.7, margin=0.2)
    watched = [past(month, 0.8) for month in range(2, 12)]
    assert decide(evidence(small, *watched), AT_ONCE).rule == "all_quiet"
    assert decide(evidence({**small, "margin": 0.05}, *watched), AT_ONCE).rule == "performance"


def test_a_decision_remembers_what_was_measured() -> None:
    assert decide(evidence(performance(0.8, verdict="holds")), Policy()).measured == Measurement("accuracy", **interval(0.8, 0.02))
    assert measured(PerformanceResult("cannot tell", score=0.5)) is None


def recovered(month: int, *, promoted: bool = True) -> PastDecision:
    return PastDecision(f"2020-{month:02}-01T00:00:00Z", "retrain", ("performance",), 50, "performance", promoted=promoted)


HOLDS = {"verdict": "holds", "metric": "accuracy", "score": 0.8}


@pytest.mark.parametrize(
    ("result", "history", "since"),
    [
        (HOLDS, (), "2019-01-01T00:00:00Z"),
        (HOLDS, (past(2), past(3, None, "performance"), recovered(4), past(5)), "2020-02-01T00:00:00Z"),
        (HOLDS, (recovered(4), past(5)), "2020-04-01T00:00:00Z"),
        (HOLDS, (past(3), recovered(4, promoted=False), past(5)), "2019-01-01T00:00:00Z"),
        ({**HOLDS, "verdict": "degraded"}, (), ""),
        ({"verdict": "cannot tell"}, (), ""),
    ],
    ids=["never changed", "changed", "changed in the first window that is known", "challenger rejected", "degraded", "cannot tell"],
)
def test_a_challenger_learns_from_all_rows_since_performance_changed(result: dict[str, Any], history: tuple[PastDecision, ...], since: str) -> None:
    forced = replace(evidence(result, *history), mode="force")
    assert decide(forced, Policy()).training_since == since
    assert decide(forced, read_policy("training_window: fixed")).training_since == ""
    assert decide(replace(forced, window_end="latest", history=()), Policy()).training_since == ""
    assert decide(replace(forced, baseline=None), Policy()).training_since == ""


def test_a_champion_is_too_old_after_three_times_the_time_that_it_learned_from() -> None:
    young, old = (decide(evidence(HOLDS, end=f"{end}T00:00:00Z"), Policy()) for end in ("2022-12-30", "2022-12-31"))
    assert (young.rule, old.rule) == ("all_quiet", "model_age")
    assert old.champion_stale
    assert "the policy retrains after 1,095 days." in old.reasons[0]
    tried = PastDecision("2022-12-31T00:00:00Z", "retrain", rule="model_age")
    again = [decide(evidence(HOLDS, tried, end=f"{end}T00:00:00Z"), Policy()).rule for end in ("2025-12-31", "2028-12-28", "2028-12-29")]
    assert again == ["all_quiet", "all_quiet", "model_age"], "twice as long after a challenger that did not pass"


def test_the_shorter_age_counts_and_an_unknown_one_does_not() -> None:
    given = evidence(HOLDS, end="2020-03-01T00:00:00Z")
    assert model_age(given, maximum_days=30, maximum_spans=2).threshold == 30
    assert model_age(given, maximum_days=2000, maximum_spans=3).threshold == 1095
    assert model_age(given, maximum_days=None, maximum_spans=None).verdict == "quiet"
    for unknown in ({"fit_start": None}, {"fit_start": BASELINE["fit_end"]}):
        assert model_age(evidence(HOLDS, end="2090-01-01T00:00:00Z", **unknown), maximum_days=None, maximum_spans=2).verdict == "quiet"


@pytest.mark.parametrize(
    ("given", "stale"),
    [
        (evidence(performance(0.7)), True),
        (evidence(HOLDS, end="2023-06-01T00:00:00Z"), True),
        (evidence(HOLDS, recovered(11)), True),
        (replace(evidence(HOLDS), mode="force"), False),
        (replace(evidence(performance(0.7)), mode="force"), True),
        (replace(evidence(HOLDS), baseline=None), False),
        (evidence(HOLDS), False),
    ],
    ids=["degraded", "too old", "after a change", "forced", "forced while degraded", "no champion", "kept"],
)
def test_what_is_known_against_the_champion_makes_it_stale(given: Evidence, stale: bool) -> None:
    assert decide(given, AT_ONCE).champion_stale is stale


def test_the_page_says_what_the_decision_means_for_the_challenger() -> None:
    aged = evidence(HOLDS, end="2023-06-01T00:00:00Z")
    page = decision_page(decide(aged, Policy()), Policy())
    assert "The challenger learns from all rows since 2019-01-01T00:00:00Z" in page
    assert "requires only a higher score on the same rows" in page
    assert "A champion older than 3 times the span of its training data is retrained." in page
    strict = read_policy("{training_window: fixed, maximum_model_age_spans: null, maximum_model_age_days: 30, gate: {stale_champion: proven_better}}")
    page = decision_page(decide(aged, strict), strict)
    assert "A challenger learns from the training window only." in page
    assert "A champion older than 30 days is retrained." in page
    assert "The challenger learns from all rows" not in page
    assert "the gate requires" not in page


def entry(kind: str, run: str, **more: Any) -> Entry:
    return Entry(kind, run_id=run, step_name=kind, **more)


def decided(run: str, month: int) -> Entry:
    return entry("retraining", run, evidence={"decision": "retrain", "window_end": f"2020-{month:02}-01T00:00:00Z", "rule": "performance"})


def test_the_ledger_tells_whose_challenger_became_champion(tmp_path: Path) -> None:
    ledger = Ledger(open_store(str(tmp_path)), "rain")
    for written in (
        decided("a", 1),
        entry("promotion", "a", version_after="1", challenger_id="one"),
        decided("b", 2),
        entry("rejection", "b", challenger_id="two"),
        decided("c", 3),
        entry("waiting for approval", "c", challenger_id="three"),
        entry("promotion", "approval", version_after="2", challenger_id="three"),
        decided("d", 4),
        entry("promotion", "d", version_after="3", challenger_id="four"),
    ):
        ledger.append(written)
    promoted = {past.window_end[5:7]: past.promoted for past in read_history(ledger, run_id="now")}
    assert promoted == {"01": True, "02": False, "03": True, "04": True}
    ledger.append(entry("rollback", "e", version_after="2"))
    assert {past.window_end[5:7]: past.promoted for past in read_history(ledger, run_id="now")} == {"01": True, "02": False, "03": True, "04": False}


def test_late_labels_do_not_hide_which_challenger_became_champion() -> None:
    # The champion has seen rows up to December only, and was promoted by the decision about the window that ends with January.
    history = (past(1), recovered(2), past(3))
    made = decide(evidence(HOLDS, *history, end="2020-04-01T00:00:00Z"), Policy())
    assert made.rule == "follow_up"
    assert made.training_since == "2020-01-01T00:00:00Z"
