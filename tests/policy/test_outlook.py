"""What the policy says of a degraded champion: since when, what would have let a retraining through, and when it retrains next."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.errors import PolicyError
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.policy.outlook import with_outlook
from evergreen.policy.policy_file import Policy, read_policy
from evergreen.policy.remedies import with_setting
from evergreen.results.decision import Decision, Measurement
from evergreen.results.performance import PerformanceResult
from policy.given_evidence import evidence_of

if TYPE_CHECKING:
    from evergreen.results.repair import Outlook, ProposedSetting

BASELINE = {"present": True, "version": "3", "fit_end": "2020-01-01T00:00:00Z"}
AT_ONCE = "hysteresis: {needed: 1, windows: 1}, back_off: false"


def evidence(performance: str = "degraded", *past: PastDecision, end: str = "2020-05-01T00:00:00Z", mode: str = "auto", **more: Any) -> Evidence:
    drift = {"verdict": "no drift", "severity": "none", "rows": {"current": 100}}
    result = {"verdict": performance, "metric": "accuracy", "score": 0.6}
    return evidence_of(drift, result, BASELINE, mode, end, history=past, **more)


def past(month: int, *fired: str, decision: str = "keep", rule: str = "", **more: Any) -> PastDecision:
    return PastDecision(f"2020-{month:02}-01T00:00:00Z", decision, fired, 50, rule, **more)


def rejected(month: int) -> PastDecision:
    return past(month, "performance", decision="retrain", rule="performance")


def looked(given: Evidence, policy: Policy) -> tuple[Decision, Outlook]:
    made = with_outlook(decide(given, policy), given, policy)
    assert made.outlook is not None
    return made, made.outlook


@pytest.mark.parametrize("verdict", ["holds", "cannot tell", "no champion"])
def test_a_champion_that_is_not_degraded_has_no_outlook(verdict: str) -> None:
    given = evidence(verdict, past(4, "performance"))
    made = with_outlook(decide(given, Policy()), given, Policy())
    assert (made.outlook, made.champion_degraded) == (None, False)


def test_the_outlook_survives_the_artifact() -> None:
    made, _ = looked(evidence(), Policy())
    again = Decision.from_json(json.loads(json.dumps(made.to_json())), source="decision", error=PolicyError)
    assert again == made
    assert again.champion_degraded


def test_a_decision_of_an_earlier_release_is_told_by_its_trigger() -> None:
    content = {"decision": "keep", "triggers": [{"name": "performance", "value": 0.6, "threshold": 0.0, "verdict": "fired"}]}
    assert Decision.from_json(content, source="decision").champion_degraded


SEEN = Measurement("accuracy", 0.6, 0.55, 0.65)


@pytest.mark.parametrize(
    ("history", "first", "windows"),
    [
        ((), 5, 1),
        ((past(3, "performance", measured=SEEN), past(4, "performance", measured=SEEN)), 3, 3),
        ((past(2, "performance", measured=SEEN), past(3, measured=SEEN), past(4, "performance", measured=SEEN)), 4, 2),
        # Without labels, a window shows no recovery.
        ((past(2, "performance", measured=SEEN), past(3), past(4, "performance", measured=SEEN)), 2, 3),
        # A window of the champion before this one.
        ((PastDecision("2019-12-01T00:00:00Z", "keep", ("performance",), measured=SEEN),), 5, 1),
    ],
    ids=["first", "in a row", "recovered between", "not measured between", "earlier champion"],
)
def test_windows_in_a_row_are_counted_back_to_the_last_recovery(history: tuple[PastDecision, ...], first: int, windows: int) -> None:
    _, outlook = looked(evidence("degraded", *history), Policy())
    assert (outlook.first_window_end, outlook.windows) == (f"2020-{first:02}-01T00:00:00Z", windows)


WAITING = PerformanceResult("degraded", "accuracy", 0.6, changed_at="2020-04-26T00:00:00Z", rows_since_change=12)
HELD_BACK = [
    ("hysteresis", Policy(), (), {}, ["hysteresis.needed", "policy_mode"]),
    ("back_off", Policy(), (rejected(2), rejected(3), rejected(4)), {}, ["back_off", "policy_mode"]),
    ("cooldown", read_policy(f"{{cooldown_days: 45, {AT_ONCE}}}"), (rejected(3), rejected(4)), {}, ["cooldown_days", "policy_mode"]),
    ("budget", read_policy(f"{{budget: {{retrains: 2, days: 90}}, {AT_ONCE}}}"), (rejected(3), rejected(4)), {}, ["budget.retrains", "policy_mode"]),
    (
        "veto_contract_warnings",
        read_policy(f"{{vetoes: [contract_warnings], {AT_ONCE}}}"),
        (),
        {"validation": "passed with warnings"},
        ["vetoes", "policy_mode"],
    ),
    ("veto_rollout_under_way", read_policy(f"{{vetoes: [rollout_under_way], {AT_ONCE}}}"), (), {"rollout_under_way": True}, ["vetoes", "policy_mode"]),
    ("few_rows", read_policy(f"{{{AT_ONCE}}}"), (), {"performance": WAITING}, ["minimum_rows_since_change", "policy_mode"]),
    ("alert_only", read_policy(f"{{triggers: [no_champion, explicit_request], {AT_ONCE}}}"), (), {}, ["triggers", "policy_mode"]),
    ("alert_only", read_policy(f"{{triggers: [no_champion], {AT_ONCE}}}"), (), {}, ["triggers"]),
]


@pytest.mark.parametrize(("rule", "policy", "history", "given", "names"), HELD_BACK, ids=[f"{case[0]}, {len(case[4])}" for case in HELD_BACK])
def test_each_proposed_setting_would_have_let_the_retraining_through(
    rule: str, policy: Policy, history: tuple[PastDecision, ...], given: dict[str, Any], names: list[str]
) -> None:
    held_back = replace(evidence("degraded", *history), **given)
    made, outlook = looked(held_back, policy)
    assert (made.decision, made.rule) == ("keep", rule)
    assert ([setting.name for setting in outlook.settings], outlook.all_needed) == (names, False)
    for setting in outlook.settings:
        assert setting.current != setting.proposed
        assert retrains_with([setting], held_back, policy)


def retrains_with(settings: list[ProposedSetting], given: Evidence, policy: Policy) -> bool:
    """Return whether the same evidence leads to a retraining once a person has done what is proposed."""
    for setting in settings:
        if setting.kind == "parameter":
            assert setting.name == "policy_mode"
            given = replace(given, mode=setting.proposed)
        else:
            changed = with_setting(policy, setting)
            assert read_policy(json.dumps(changed.model_dump(mode="json"))) == changed != policy
            policy = changed
    return decide(given, policy).decision == "retrain"


def test_settings_that_are_needed_together_are_told_together() -> None:
    policy = read_policy("{triggers: [no_champion, explicit_request, model_age], cooldown_days: 45}")
    held_back = evidence("degraded", rejected(4), end="2020-05-01T00:00:00Z", validation="passed with warnings")
    _, outlook = looked(replace(held_back, history=(past(4, decision="retrain", rule="model_age"),)), policy)
    assert ([setting.name for setting in outlook.settings], outlook.all_needed) == (["triggers", "hysteresis.needed", "cooldown_days"], True)
    assert retrains_with(outlook.settings, replace(held_back, history=(past(4, decision="retrain", rule="model_age"),)), policy)
    for left_out in outlook.settings:
        others = [setting for setting in outlook.settings if setting != left_out]
        assert not retrains_with(others, replace(held_back, history=(past(4, decision="retrain", rule="model_age"),)), policy), left_out.name


def test_a_drop_that_is_nearly_certain_may_count_as_certain() -> None:
    steep = PerformanceResult("degraded", "accuracy", 0.6, drop=0.1, drop_lower=0.02, drop_upper=0.18)
    held_back = replace(evidence(), performance=steep)
    made, outlook = looked(held_back, Policy())
    assert made.rule == "hysteresis"
    needed, certain = outlook.settings
    assert (certain.name, certain.current, certain.proposed) == ("hysteresis.certain_standard_errors", "3.0", "2.4")
    assert retrains_with([needed], held_back, Policy())
    assert retrains_with([certain], held_back, Policy())


def test_dates_follow_from_the_usual_distance_between_windows() -> None:
    # Monthly, with one run started by hand in between.
    history = (past(2), past(3), PastDecision("2020-04-28T00:00:00Z", "keep"), past(4))
    made, outlook = looked(evidence("degraded", *history), Policy())
    assert made.rule == "hysteresis"
    assert outlook.next_window_end == "2020-05-29T00:00:00Z"
    assert (outlook.windows_to_wait, outlook.retrains_at) == (1, "2020-05-29T00:00:00Z")
    _, first = looked(evidence(), Policy())
    assert (first.next_window_end, first.windows_to_wait, first.retrains_at) == ("", 1, "")
    _, unknown = looked(evidence(end="latest"), Policy())
    assert (unknown.next_window_end, unknown.windows_to_wait, unknown.first_window_end) == ("", None, "latest")


def test_the_predicted_window_is_the_one_in_which_the_policy_does_retrain() -> None:
    history: list[PastDecision] = [rejected(2), rejected(3), rejected(4)]
    _, outlook = looked(evidence("degraded", *history), Policy())
    assert outlook.windows_to_wait == 1
    assert [setting.name for setting in outlook.settings] == ["back_off", "policy_mode"]
    fourth = [*history, past(5, "performance"), rejected(6)]
    _, later = looked(evidence("degraded", *fourth, end="2020-07-01T00:00:00Z"), Policy())
    wait = later.windows_to_wait
    assert wait == 3
    for month in range(7, 7 + wait):
        assert decide(evidence("degraded", *fourth, end=f"2020-{month:02}-01T00:00:00Z"), Policy()).rule == "back_off"
        fourth.append(past(month, "performance"))
    assert decide(evidence("degraded", *fourth, end=f"2020-{7 + wait:02}-01T00:00:00Z"), Policy()).rule == "performance"


def test_the_ends_of_cool_down_and_budget_are_exact() -> None:
    cool = read_policy(f"{{cooldown_days: 45, {AT_ONCE}}}")
    made, outlook = looked(evidence("degraded", rejected(3), rejected(4)), cool)
    assert (made.rule, outlook.waits_until) == ("cooldown", "2020-05-16T00:00:00Z")
    before, after = "2020-05-15T23:00:00Z", outlook.waits_until
    assert [decide(evidence("degraded", rejected(4), end=end), cool).decision for end in (before, after)] == ["keep", "retrain"]
    tight = read_policy(f"{{budget: {{retrains: 2, days: 90}}, {AT_ONCE}}}")
    spent = (rejected(2), rejected(3), rejected(4))
    made, outlook = looked(evidence("degraded", *spent, end="2020-04-15T00:00:00Z"), tight)
    assert (made.rule, outlook.waits_until) == ("budget", "2020-05-30T00:00:00Z")
    assert [decide(evidence("degraded", *spent, end=end), tight).decision for end in ("2020-05-29T23:00:00Z", outlook.waits_until)] == ["keep", "retrain"]


def test_a_policy_that_waits_for_rows_retrains_when_enough_have_come() -> None:
    weekly = [PastDecision(f"2020-04-{day}T00:00:00Z", "keep", ("performance",), 50, "few_rows") for day in (10, 17, 24)]
    # 12 rows in 5 days: 28 after a week, 45 after two, 62 after three.
    held_back = replace(evidence("degraded", *weekly), performance=WAITING)
    made, outlook = looked(held_back, Policy())
    assert made.rule == "few_rows"
    assert (outlook.windows_to_wait, outlook.retrains_at) == (3, "2020-05-22T00:00:00Z")
    for week, rows in ((8, 28), (15, 45), (22, 62)):
        later = replace(held_back, window_end=f"2020-05-{week:02}T00:00:00Z", performance=replace(WAITING, rows_since_change=rows))
        assert decide(later, Policy()).decision == ("retrain" if week == 22 else "keep")
    _, sooner = looked(held_back, read_policy("minimum_rows_since_change: 40"))
    assert sooner.windows_to_wait == 2
    _, first = looked(replace(evidence(), performance=WAITING), Policy())
    assert first.windows_to_wait is None, "how far windows lie apart is not known yet"
    _, unseen = looked(replace(held_back, performance=replace(WAITING, rows_since_change=0)), Policy())
    assert unseen.windows_to_wait is None


def test_a_policy_that_never_retrains_for_it_is_said_to_never() -> None:
    made, outlook = looked(evidence("degraded", past(3), past(4)), read_policy("{triggers: [no_champion], maximum_model_age_spans: null}"))
    assert (made.decision, outlook.windows_to_wait, outlook.retrains_at) == ("keep", None, "")


def test_after_a_retraining_the_settings_make_the_next_one_come_sooner() -> None:
    history = (rejected(2), rejected(3))
    made, outlook = looked(evidence("degraded", *history, end="2020-04-01T00:00:00Z"), Policy())
    # If the gate rejects this one, too, it is the third.
    assert (made.decision, outlook.windows_to_wait) == ("retrain", 2)
    assert [(setting.name, setting.current, setting.proposed) for setting in outlook.settings] == [("back_off", "true", "false")]
    quick = read_policy("back_off: false")
    assert looked(evidence("degraded", *history, end="2020-04-01T00:00:00Z"), quick)[1].windows_to_wait == 1
    made, outlook = looked(evidence("degraded", rejected(3), mode="force"), Policy())
    assert (made.rule, outlook.settings, outlook.windows_to_wait) == ("explicit_request", [], 1)


def test_a_policy_that_switches_the_choice_of_rows_off_is_told_to_switch_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def choosing(given: Evidence, policy: Policy) -> Decision:
        return replace(decide(given, policy), choose_rows=policy.training_window != "fixed")

    monkeypatch.setattr("evergreen.policy.outlook.decide", choosing)
    fixed, given = read_policy(f"{{training_window: fixed, {AT_ONCE}}}"), evidence()
    outlook = with_outlook(choosing(given, fixed), given, fixed).outlook
    assert outlook is not None
    assert [(setting.name, setting.current, setting.proposed) for setting in outlook.settings] == [("training_window", "fixed", "since_change")]
    changed = with_setting(fixed, outlook.settings[0])
    again = with_outlook(choosing(given, changed), given, changed).outlook
    assert again is not None
    assert again.settings == []
