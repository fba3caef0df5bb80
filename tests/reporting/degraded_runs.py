"""Records of runs whose champion is degraded, with decisions that the policy really made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence, PastDecision
from evergreen.policy.outlook import with_outlook
from evergreen.policy.policy_file import read_policy
from evergreen.reporting.summary import RunSummary, summarise_run
from evergreen.results.baseline import Baseline
from evergreen.results.drift import DriftResult
from evergreen.results.performance import PerformanceResult
from evergreen.runs.records import StepRecord

if TYPE_CHECKING:
    from evergreen.results.repair import Repair

AT_ONCE = "hysteresis: {needed: 1, windows: 1}"
WINDOW_END = "2021-11-01T00:00:00Z"


def step(name: str, outcome: str = "", state: str = "succeeded", **more: Any) -> StepRecord:
    """Return the record of a step."""
    return StepRecord(name, state=state, outcome=outcome, started_at="2021-11-01T06:00:00.000Z", duration_s=2.0, **more)


def past(day: str, *fired: str, decision: str = "keep", rule: str = "", **more: Any) -> PastDecision:
    """Return the decision about the window that ended on a day of 2021."""
    return PastDecision(f"2021-{day}T00:00:00Z", decision, fired, 100, rule, **more)


def looked(policy: str = "default", *history: PastDecision, verdict: str = "degraded", mode: str = "auto", **performance: Any) -> list[StepRecord]:
    """Return the records of a run up to its decision, which the given policy made."""
    content = {"verdict": verdict, "metric": "roc_auc", "score": 0.61, "baseline_score": 0.93, **performance}
    result = PerformanceResult.from_json(content, source="test")
    baseline = Baseline(version="3", fit_end="2021-08-01T00:00:00Z")
    evidence = Evidence(DriftResult("no drift", "none"), result, baseline, mode, WINDOW_END, history=tuple(history))
    settings = read_policy(policy)
    made = with_outlook(decide(evidence, settings), evidence, settings)
    return [
        step("load_champion", "3", details={"champion_version": "3", "fit_end": "2021-08-01T00:00:00Z"}),
        step("ingest_window", details={"window_start": "2021-10-02T00:00:00Z", "window_end": WINDOW_END}),
        step("monitor_performance", verdict, details=result.to_json()),
        step("decide_retraining", made.decision, details=made.to_json()),
    ]


def trained(choice: dict[str, Any] | None = None, *, rows: float = 800.0, held_out: float = 200.0, days: int = 1825) -> list[StepRecord]:
    """Return the records of the steps that train a challenger."""
    details = {"rows": rows, "holdout_rows": held_out, **({"choice": choice} if choice else {})}
    start = {1825: "2016-11-02T00:00:00Z", 30: "2021-10-02T00:00:00Z"}[days]
    return [
        step("ingest_training_data", details={"window_start": start, "window_end": WINDOW_END}),
        step("train_challenger", "abc", details=details),
    ]


def judged(verdict: str = "reject", conclusion: str = "not better", reasons: tuple[str, ...] = ("There is no reliable evidence.",), **more: Any) -> StepRecord:
    """Return the record of the step that compares the challenger with the champion."""
    details = {
        "verdict": verdict,
        "conclusion": conclusion,
        "metric": "roc_auc",
        "rows": 200,
        "reasons": list(reasons),
        "challenger_score": 0.66,
        "champion_score": 0.61,
        "naive_score": 0.5,
        "difference": 0.05,
        "difference_lower": -0.02,
        "difference_upper": 0.12,
        **more,
    }
    return step("evaluate_challenger", verdict, details=details)


def deployed(outcome: str, after: str = "") -> StepRecord:
    """Return the record of the step that deploys a challenger, after which the given version is the champion."""
    after = after or ("4" if outcome == "promoted" else "3")
    return step("deploy_model", outcome, details={"outcome": outcome, "version": "4", "champion_before": "3", "champion_after": after})


def candidate(name: str, rows: int, score: float | None, gain: float | None, note: str = "", **more: Any) -> dict[str, Any]:
    """Return a candidate of a choice among training rows."""
    return {"origin": "trained", "name": name, "rows": rows, "score": score, "gain": gain, "note": note, **more}


CHOSEN = candidate("rows since 2021-10-09", 60, 0.64, 0.03)
CHOICE = {
    "chosen": CHOSEN,
    "candidates": [
        candidate("all rows", 4000, 0.6, -0.01, "worse than the champion"),
        CHOSEN,
        candidate("version 1", 0, None, None, "its feature 'age' is gone"),
    ],
    "metric": "roc_auc",
    "champion_score": 0.61,
    "validation_rows": 40,
    "changed_at": "2021-10-09T12:00:00Z",
    "rows_since_change": 100,
    "next_look_rows": 150,
}
PROBE = {
    "verdict": "better",
    "sentence": "A model of the last 20 days would score 0.7, the champion scores 0.61.",
    "metric": "roc_auc",
    "rows": 80,
    "champion_score": 0.61,
    "minimum_gain": 0.02,
    "best": {"name": "the last 20 days", "rows": 70, "score": 0.7, "gain": 0.09, "gain_lower": 0.01},
    "models": [
        {"name": "the last 20 days", "rows": 70, "score": 0.7, "gain": 0.09, "gain_lower": 0.01},
        {"name": "all rows", "rows": 4000, "score": 0.615, "gain": 0.005, "gain_lower": -0.02},
        {"name": "the last 90 days", "rows": 300, "score": 0.65, "gain": 0.04, "gain_lower": -0.01},
        {"name": "the last 5 days", "rows": 3},
    ],
}


def summary_of(records: list[StepRecord]) -> RunSummary:
    """Return the summary of a run with these records."""
    return summarise_run(records, run_id="run-1", model_name="rain")


def repair_of(records: list[StepRecord]) -> Repair:
    """Return what the summary says of the degraded champion."""
    repair = summary_of(records).repair
    assert repair is not None
    return repair
