"""What a run says of a degraded champion that it leaves in service: for each cause, and never when there is no reason for alarm."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rich.console import Console

from evergreen.evaluation.gate import Gate, rule_against_champion
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.metrics.scoring import Interval, resolve_metric
from evergreen.policy.policy_file import read_policy
from evergreen.reporting.repair_terminal import print_repair
from evergreen.reporting.repair_times import day_of
from evergreen.reporting.run_metrics import run_metrics
from evergreen.reporting.run_page import run_page
from evergreen.results.repair import NOT_REPAIRED, ProposedSetting
from reporting.degraded_runs import AT_ONCE, CHOICE, PROBE, deployed, judged, looked, past, repair_of, step, summary_of, trained

if TYPE_CHECKING:
    from evergreen.runs.records import StepRecord

REJECTED = past("10-02", "performance", decision="retrain", rule="performance")
CHECKED = {"conclusion": "failed check", "reasons": ("A check failed.",)}


RETRAINED = [*looked(AT_ONCE), *trained()]
NO_BETTER = judged(difference=-0.01, difference_lower=-0.05, difference_upper=0.03)
BACK_OFF = tuple(past(day, "performance", decision="retrain", rule="performance") for day in ("08-15", "09-15", "10-02"))
PASSED = judged("promote", "better")


@pytest.mark.parametrize(
    ("records", "outcome", "cause", "settings"),
    [
        (looked(), NOT_REPAIRED, "hysteresis", ["hysteresis.needed", "policy_mode"]),
        (looked("default", *BACK_OFF), NOT_REPAIRED, "back_off", ["back_off", "policy_mode"]),
        (looked(f"{{cooldown_days: 45, {AT_ONCE}}}", REJECTED), NOT_REPAIRED, "cooldown", ["cooldown_days", "policy_mode"]),
        (looked(f"{{budget: {{retrains: 1, days: 90}}, {AT_ONCE}}}", REJECTED), NOT_REPAIRED, "budget", ["budget.retrains", "policy_mode"]),
        (looked(f"{{triggers: [no_champion, model_age], {AT_ONCE}}}"), NOT_REPAIRED, "alert_only", ["triggers"]),
        ([*RETRAINED, NO_BETTER], NOT_REPAIRED, "rejected", []),
        ([*looked(AT_ONCE), *trained(CHOICE), NO_BETTER], NOT_REPAIRED, "rejected", []),
        ([*RETRAINED, PASSED, deployed("dry run")], NOT_REPAIRED, "dry run", ["policy_mode"]),
        ([*RETRAINED, PASSED, deployed("waiting for approval")], "waiting for approval", "waiting for approval", ["approve it", "deployment_approval"]),
        ([*RETRAINED, PASSED, deployed("already champion")], NOT_REPAIRED, "not promoted", []),
        ([*looked(AT_ONCE), step("train_challenger", state="failed", error="TrainingError: no rows")], "failed", "failed", []),
        ([*looked(AT_ONCE), step("train_challenger", state="running")], "failed", "failed", []),
        ([*RETRAINED], "failed", "not promoted", []),
    ],
    ids=[
        "hysteresis",
        "back-off",
        "cool-down",
        "budget",
        "trigger",
        "rejected",
        "rejected choice",
        "dry run",
        "approval",
        "itself",
        "failed",
        "killed",
        "no result",
    ],
)
def test_a_degraded_champion_that_stays_is_an_alarm_whatever_the_cause(records: list[StepRecord], outcome: str, cause: str, settings: list[str]) -> None:
    summary = summary_of(records)
    repair = summary.repair
    assert repair is not None
    assert (summary.outcome, repair.cause, [setting.name for setting in repair.settings]) == (outcome, cause, settings)
    assert summary.status == ("failed" if outcome == "failed" else "succeeded")
    assert run_metrics(summary, records)["degraded and not repaired"] == 1.0
    page = run_page(summary)
    assert '<p class="verdict bad">' in page
    assert f" since {day_of(repair.since)}" in page.partition('<p class="verdict bad">')[2].partition("</p>")[0]
    for wanted in (repair.why, *repair.next_steps, *(setting.proposed for setting in repair.settings)):
        assert wanted.replace("'", "&#39;").replace('"', "&#34;") in page
    assert json.loads(json.dumps(summary.to_json()))["repair"]["cause"] == cause


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        ([*RETRAINED, PASSED, deployed("promoted")], "promoted"),
        ([*RETRAINED, PASSED, deployed("already champion", after="4")], "already champion"),
        ([*RETRAINED, PASSED, deployed("promoted"), step("mail", state="failed", error="X: y")], "failed"),
        (looked(verdict="holds"), "kept"),
        (looked(verdict="cannot tell"), "kept"),
        ([*looked(verdict="holds", mode="force"), *trained(), NO_BETTER], "rejected"),
        ([*looked(verdict="holds", mode="force"), *trained(), PASSED, deployed("dry run")], "dry run"),
        ([step("load_champion"), step("decide_retraining", state="failed", error="PolicyError: no")], "failed"),
    ],
    ids=["promoted", "already champion", "failed after the promotion", "holds", "cannot tell", "rejected without need", "dry run without need", "undecided"],
)
def test_a_repaired_or_sound_champion_is_no_alarm(records: list[StepRecord], outcome: str) -> None:
    summary = summary_of(records)
    assert (summary.outcome, summary.repair, summary.to_json()["repair"]) == (outcome, None, {})
    assert run_metrics(summary, records)["degraded and not repaired"] == 0.0
    page = run_page(summary)
    assert "not repaired" not in page.partition("<main>")[2]
    console = Console(record=True, width=80)
    print_repair(console, summary)
    assert console.export_text() == ""


def test_since_when_is_the_change_point_if_there_is_one() -> None:
    repair = repair_of(looked(changed_at="2021-10-09T12:00:00Z", rows_since_change=12))
    assert (repair.since, repair.since_source) == ("2021-10-09T12:00:00Z", "change point")
    assert repair.since_sentence.startswith("The champion's errors changed on 9 October 2021")
    assert "12 labelled rows have come since" in repair.since_sentence


@pytest.mark.parametrize(
    ("history", "since", "words"),
    [
        ((), "2021-10-02T00:00:00Z", "2 October 2021 is the start of the first window in which it was degraded"),
        ((past("10-02", "performance"),), "2021-09-02T00:00:00Z", "the start of the first of 2 windows in a row"),
        # Before that, the champion had seen the rows.
        ((past("08-10", "performance"), past("09-05", "performance")), "2021-08-01T00:00:00Z", "the start of the first of 3 windows in a row"),
    ],
)
def test_otherwise_it_is_the_start_of_the_first_degraded_window_in_a_row(history: tuple[Any, ...], since: str, words: str) -> None:
    repair = repair_of(looked("default", *history))
    assert (repair.since, repair.since_source) == (since, "first degraded window")
    assert words in repair.since_sentence


def test_without_the_windows_length_its_end_is_told_as_such() -> None:
    records = [record for record in looked() if record.step_name != "ingest_window"]
    repair = repair_of(records)
    assert (repair.since, repair.since_sentence[:31]) == ("2021-11-01T00:00:00Z", "1 November 2021 is the end of t")
    late = looked()
    late[-1].details.update({"window_end": "latest", "outlook": {"first_window_end": "latest"}})
    unknown = repair_of(late)
    assert (unknown.since, unknown.since_source) == ("", "unknown")
    assert "Degraded, not repaired. Version 3 remains the champion." in run_page(summary_of(late))


def test_what_was_tried_are_probe_choice_and_challenger_each_with_why_it_did_not_replace_the_champion() -> None:
    repair = repair_of([*looked(AT_ONCE, probe=PROBE), *trained(CHOICE), judged(former_version="")])
    told = [(attempt.by, attempt.name, attempt.rows, attempt.score, attempt.gain, attempt.why) for attempt in repair.tried]
    assert told == [
        ("probe", "the last 20 days", 70, 0.7, 0.09, "It is better. The probe only asks whether a retraining pays; its small models are never promoted."),
        ("probe", "all rows", 4000, 0.615, 0.005, "It gains less than the 0.02 that matters."),
        ("probe", "the last 90 days", 300, 0.65, 0.04, "Chance alone may explain its gain (lower bound -0.01)."),
        ("probe", "the last 5 days", 3, None, None, "It could not be scored."),
        ("choice of training rows", "all rows", 4000, 0.6, -0.01, "Worse than the champion."),
        ("choice of training rows", "rows since 2021-10-09", 60, 0.64, 0.03, "It was chosen as the challenger."),
        ("choice of training rows", "version 1", None, None, None, "Its feature 'age' is gone."),
        ("gate", "the challenger (trained)", 800, 0.66, 0.05, "There is no reliable evidence."),
    ]
    assert {attempt.champion_score for attempt in repair.tried} == {0.61, None}


def test_a_comparison_that_cannot_be_read_is_still_a_rejection() -> None:
    repair = repair_of([*RETRAINED, judged(rows="many")])
    assert (repair.cause, repair.why) == ("rejected", "The gate rejected the challenger; the record of the comparison cannot be read.")


def test_a_former_champion_at_the_gate_is_named() -> None:
    repair = repair_of([*looked(AT_ONCE), *trained(), judged(origin="former champion", former_version="1")])
    assert repair.tried[-1].name == "version 1, a former champion"


def test_when_enough_rows_will_have_come_follows_from_their_pace() -> None:
    records = [*looked(AT_ONCE, changed_at=CHOICE["changed_at"], rows_since_change=100), *trained(CHOICE), NO_BETTER]
    # 100 rows in 22.5 days: 50 more take 11.25 days.
    expected = "about 150 rows have come since the change (100 so far); at the present pace, that is around 12 November 2021."
    assert repair_of(records).next_steps[-1].endswith(expected)
    none_yet = [*looked(AT_ONCE), *trained({**CHOICE, "rows_since_change": 0}), NO_BETTER]
    assert repair_of(none_yet).next_steps[-1].endswith("about 150 rows have come since the change (0 so far).")
    slow = [*looked(AT_ONCE), *trained({**CHOICE, "next_look_rows": 10_000_000}), NO_BETTER]
    assert repair_of(slow).next_steps[-1].endswith("takes more than 10 years.")


@pytest.mark.parametrize(
    ("records", "sentences"),
    [
        (looked("default", past("09-02"), past("10-02")), ["expected to end on 1 December 2021.", "retrains in the next window."]),
        (looked("default", *BACK_OFF), ["expected to end on 1 December 2021.", "retrains in the next window."]),
        (
            looked(f"{{cooldown_days: 45, {AT_ONCE}}}", REJECTED),
            ["1 December 2021.", "The cool-down ends on 16 November 2021; until then, the policy does not retrain."],
        ),
        (
            looked(f"{{budget: {{retrains: 1, days: 90}}, {AT_ONCE}}}", REJECTED),
            ["1 December 2021.", "allows another retraining on 31 December 2021; until then, the policy does not retrain."],
        ),
        (looked("{triggers: [no_champion], maximum_model_age_spans: null}", past("10-02")), ["1 December 2021.", "no retraining is in sight."]),
        (
            [*looked(AT_ONCE, *BACK_OFF[:2]), *trained(), NO_BETTER],
            ["end on 10 December 2021.", "in window 2 from now, which is expected to end on 18 January 2022."],
        ),
        ([*RETRAINED, PASSED, deployed("waiting for approval")], ["until a person approves the waiting version.", "looks at the next window."]),
    ],
    ids=["hysteresis", "back-off", "cool-down", "budget", "trigger", "third rejection", "approval"],
)
def test_what_happens_next_has_a_date(records: list[StepRecord], sentences: list[str]) -> None:
    told = repair_of(records).next_steps
    assert len(told) == len(sentences)
    for said, ending in zip(told, sentences, strict=True):
        assert said.endswith(ending)


def test_a_waiting_version_comes_with_the_command_that_approves_it() -> None:
    repair = repair_of([*RETRAINED, PASSED, deployed("waiting for approval")])
    assert repair.settings[0].proposed == 'evergreen approve rain 4 --by "YOUR NAME" --reason "YOUR REASON"'
    assert repair.why == "A better model passed the gate, and only a person's approval of version 4 is missing."


def with_gate(content: str) -> str:
    return f"{{{AT_ONCE}, gate: {content}}}"


@pytest.mark.parametrize(
    ("policy", "evaluation", "name", "current", "proposed"),
    [
        (with_gate("{stale_champion: proven_better}"), judged(), "gate.stale_champion", "proven_better", "higher_score"),
        (
            with_gate("{other_metrics: {f1: 0.01}}"),
            judged(**CHECKED, checks=[{"name": "metric f1", "verdict": "failed", "sentence": "x", "details": {"lower": -0.0312}}]),
            "gate.other_metrics",
            "{f1: 0.01}",
            "{f1: 0.0313}",
        ),
        (
            with_gate("{slices: [{column: region}]}"),
            judged(
                **CHECKED,
                checks=[{"name": "slices", "verdict": "failed", "sentence": "x"}],
                slices=[{"name": "region=north", "verdict": "worse", "margin": 0.05, "difference": -0.12}],
            ),
            "gate.slice_margin",
            "0.05",
            "0.121",
        ),
        (
            with_gate("{fairness: {groups: [sex], demographic_parity: 0.1}}"),
            judged(
                **CHECKED, checks=[{"name": "demographic parity by sex", "verdict": "failed", "sentence": "x", "details": {"rates": [{"a": 0.5, "b": 0.25}]}}]
            ),
            "gate.fairness.demographic_parity",
            "0.1",
            "0.251",
        ),
        (
            with_gate("{calibration_error: 0.05}"),
            judged(
                **CHECKED,
                checks=[{"name": "calibration", "verdict": "failed", "sentence": "x"}],
                calibration={"error": 0.08, "predicted": [], "observed": [], "rows": []},
            ),
            "gate.calibration_error",
            "0.05",
            "0.0801",
        ),
        (
            with_gate("{stress_change: 0.2}"),
            judged(**CHECKED, checks=[{"name": "stress: missing values", "verdict": "failed", "sentence": "x", "details": {"changes": {"a": 0.1, "b": 0.3}}}]),
            "gate.stress_change",
            "0.2",
            "0.301",
        ),
        (
            with_gate("{serving: {p99_milliseconds: 10}}"),
            judged(**CHECKED, checks=[{"name": "serving: latency", "verdict": "failed", "sentence": "x", "details": {"p99_milliseconds": 14.0}}]),
            "gate.serving.p99_milliseconds",
            "10.0",
            "14.1",
        ),
        (with_gate("{floors: {roc_auc: 0.8}}"), judged(conclusion="below floor"), "gate.floors", "{roc_auc: 0.8}", "{roc_auc: 0.659}"),
        (
            AT_ONCE,
            judged(conclusion="cannot tell", champion_score=None, difference=None, reasons=("The champion cannot be scored.",)),
            "gate.allow_unscorable_champion",
            "false",
            "true",
        ),
        (AT_ONCE, judged(conclusion="cannot tell", challenger_score=None, champion_score=None, rows=12), "evaluation_holdout_share", "0.2", "0.4"),
        (
            AT_ONCE,
            judged(conclusion="cannot tell", challenger_score=None, champion_score=None, rows=12, rows_seen_by_champion=90),
            "gate.when_unclear",
            "reject",
            "promote",
        ),
        (AT_ONCE, judged(margin=0.1), "evaluation_margin", "0.1", "0.0"),
    ],
    ids=["proven", "metric", "slices", "fairness", "calibration", "stress", "latency", "floor", "unscorable", "few rows", "few new rows", "margin"],
)
def test_the_proposed_setting_follows_from_the_gates_reason(policy: str, evaluation: StepRecord, name: str, current: str, proposed: str) -> None:
    repair = repair_of([*looked(policy), *trained(), evaluation])
    first = repair.settings[0]
    assert (first.name, first.current, first.proposed) == (name, current, proposed)
    assert len(repair.settings) <= 2
    for setting in repair.settings:
        if setting.kind == "policy":
            assert read_policy(json.dumps(as_policy(policy, setting))) != read_policy(policy)


def as_policy(policy: str, setting: ProposedSetting) -> dict[str, Any]:
    """Return the policy with the proposed value at the proposed place."""
    content: dict[str, Any] = yaml.safe_load(policy if policy.startswith("{") else f"{{{policy}}}")
    place = content
    *sections, name = setting.name.split(".")
    for section in sections:
        place = place.setdefault(section, {})
    place[name] = yaml.safe_load(setting.proposed)
    return content


@pytest.mark.parametrize(("policy", "margin"), [(with_gate("{stale_champion: proven_better}"), 0.0), (AT_ONCE, 0.1)])
def test_with_the_proposed_setting_the_gate_lets_the_same_challenger_through(policy: str, margin: float) -> None:
    difference = Interval(0.05, -0.02, 0.12)
    metric = resolve_metric("roc_auc", "classification")
    gate = Gate(margin, 30, 0.95, 2000, 7, {}, read_policy(policy).gate, champion_stale=True)
    before = rule_against_champion(metric, difference, gate, challenger_score=0.66, naive_score=0.5, missed=[])
    assert (before.verdict, before.conclusion) == ("reject", "not better")
    repair = repair_of([*looked(policy), *trained(), judged(margin=margin)])
    for setting in repair.settings:
        if setting.name == "evaluation_holdout_share":
            continue
        changed = float(setting.proposed) if setting.name == "evaluation_margin" else margin
        settings = GateSettings(**as_policy(policy, setting)["gate"]) if setting.kind == "policy" else read_policy(policy).gate
        after = rule_against_champion(
            metric, difference, Gate(changed, 30, 0.95, 2000, 7, {}, settings, champion_stale=True), challenger_score=0.66, naive_score=0.5, missed=[]
        )
        assert after.verdict == "promote", setting


def test_a_champion_worse_than_a_constant_may_give_way_to_it() -> None:
    records = [*looked(AT_ONCE), *trained(), judged(conclusion="below floor", challenger_score=0.48, champion_score=0.3, naive_score=0.5)]
    records[3].details["policy"]["gate"]["allow_baseline"] = False
    first = repair_of(records).settings[0]
    assert (first.name, first.current, first.proposed) == ("gate.allow_baseline", "false", "true")
    records[3].details["policy"]["gate"]["allow_baseline"] = True
    assert repair_of(records).settings == []


def test_the_choice_of_rows_comes_before_the_gates_demands() -> None:
    records = [*looked(with_gate("{stale_champion: proven_better}")), *trained(), judged()]
    choice = {"kind": "policy", "name": "training_window", "current": "fixed", "proposed": "since_change", "effect": "The rows are then chosen."}
    records[3].details["outlook"]["settings"] = [choice]
    assert [setting.name for setting in repair_of(records).settings] == ["training_window", "gate.stale_champion"]


def test_without_a_choice_among_rows_a_shorter_training_window_is_proposed() -> None:
    records = [*looked(AT_ONCE, changed_at="2021-10-09T12:00:00Z", rows_since_change=300), *trained(), NO_BETTER]
    told = [(setting.name, setting.current, setting.proposed) for setting in repair_of(records).settings]
    assert told == [("training_window_days", "1825", "23"), ("training.recency_half_life_days", "null", "11.0")]
    few = [*looked(f"{{minimum_rows_since_change: 0, {AT_ONCE}}}", changed_at="2021-10-09T12:00:00Z", rows_since_change=12), *trained(), NO_BETTER]
    assert repair_of(few).settings == []
    assert "No setting is known to help" in run_page(summary_of(few))


def test_the_terminal_has_the_same_facts_in_80_columns() -> None:
    records = [*looked(AT_ONCE, past("10-02", "performance"), probe=PROBE, changed_at=CHOICE["changed_at"], rows_since_change=100), *trained(CHOICE), NO_BETTER]
    summary = summary_of(records)
    console = Console(record=True, width=80)
    print_repair(console, summary)
    text = console.export_text(clear=False)
    assert max(map(len, text.splitlines())) <= 80
    assert "[1;31mDegraded since 9 October 2021, not repaired." in console.export_text(styles=True)
    words = " ".join(text.replace("┃", " ").split())
    for wanted in (
        "rejected the challenger",
        "the last 20 days",
        "gate: the challenger",
        "and 4 more; see the run report",
        "1 December 2021",
        "about 150 rows",
    ):
        assert wanted in words
