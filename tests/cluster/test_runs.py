"""The retraining loop: a first model, a quiet day, a promotion, and back; in single steps and lean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case

NAMED_BY_CONTENT = ("train_challenger", "refit_challenger")
"""These steps answer with an id, in which the model's name has a part."""


def decided(cluster: Cluster, run: Run) -> dict[str, Any]:
    """Return what a run came to: each step's verdict, why, and what the ledger says of it."""
    records, summary = cluster.records(run), cluster.summary(run)
    verdicts = {name: (record.state, "" if name in NAMED_BY_CONTENT else record.outcome) for name, record in records.items()}
    ledger = [(record.kind, record.version_before, record.version_after) for record in cluster.ledger(run.model).records() if record.run_id == run.run_id]
    return {
        "verdicts": verdicts,
        "decision": (summary.decision, summary.reasons),
        "evaluation": summary.evaluation.sentence if summary.evaluation else "",
        "champion": (summary.champion_before, summary.champion_after),
        "ledger": ledger,
    }


def test_a_first_run_promotes(cluster: Cluster, first_run: Run, case: Case) -> None:
    summary = cluster.summary(case.took(first_run))
    assert (summary.outcome, summary.decision, summary.champion_before, summary.champion_after) == ("promoted", "retrain", "none", "1")
    assert cluster.ledger(first_run.model).promotion_of("1") is not None
    assert first_run.ended_workflow.pods <= 30


def test_a_quiet_day_keeps(cluster: Cluster, quiet_day: Run, case: Case) -> None:
    summary = cluster.summary(case.took(quiet_day))
    assert (summary.outcome, summary.decision, summary.champion_before, summary.champion_after) == ("kept", "keep", "1", "1")
    kept = [record for record in cluster.ledger(quiet_day.model).records() if record.run_id == quiet_day.run_id]
    assert [record.kind for record in kept] == ["kept"]
    assert quiet_day.ended_workflow.pods <= 17


def test_a_change_of_the_data_promotes_the_next(cluster: Cluster, promotion: Run, case: Case) -> None:
    summary = cluster.summary(case.took(promotion))
    assert (summary.outcome, summary.champion_before, summary.champion_after) == ("promoted", "1", "2")
    assert promotion.ended_workflow.pods <= 30
    assert not promotion.ended_workflow.packed, "its nodes were packed: KFP's API no longer tells the states of its steps"
    assert {step["state"] for step in promotion.said["steps"]} == {"SUCCEEDED"}


def test_a_rollback_takes_it_back(cluster: Cluster, promotion: Run, case: Case) -> None:
    case.took(cluster.run("rollback", promotion.model, rollback_from_version="2"))
    ledger = cluster.ledger(promotion.model)
    assert ledger.champion() == "1"
    assert ledger.rollback_of(version="2") is not None
    assert ledger.verify() == []


def test_a_lean_first_run_promotes(cluster: Cluster, lean_first_run: Run, case: Case) -> None:
    summary = cluster.summary(case.took(lean_first_run))
    assert (summary.outcome, summary.champion_after) == ("promoted", "1")
    assert lean_first_run.ended_workflow.pods <= 20


def test_a_lean_quiet_day_keeps(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    summary = cluster.summary(case.took(lean_quiet_day))
    assert (summary.outcome, summary.decision) == ("kept", "keep")
    assert lean_quiet_day.ended_workflow.pods <= 7


def test_both_pipelines_decide_the_same(cluster: Cluster, first_run: Run, quiet_day: Run, lean_first_run: Run, lean_quiet_day: Run) -> None:
    assert decided(cluster, first_run) == decided(cluster, lean_first_run)
    assert decided(cluster, quiet_day) == decided(cluster, lean_quiet_day)
