"""Pipelines whose steps run side by side: shards of a window, of a search, policies of a backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case


def test_drift_in_shards(cluster: Cluster, quiet_day: Run, case: Case) -> None:
    records = cluster.records(case.took(cluster.run("shards", quiet_day.model)))
    assert records["plan_shards"].outcome == "3 shards"
    # The whole, whatever the number of shards: the window of the quiet day, judged as on that day.
    assert records["merge_profiles"].outcome == "365 rows"
    assert records["detect_drift"].outcome == cluster.records(quiet_day)["detect_drift"].outcome


def test_a_search_in_shards(cluster: Cluster, case: Case) -> None:
    run = case.took(cluster.run("search", cluster.model("search")))
    records = cluster.records(run)
    assert records["plan_search"].outcome == "4 candidates in 2 shards"
    assert records["choose_candidate"].outcome.startswith("candidate ")
    assert cluster.summary(run).outcome == "searched"


def test_a_backtest(cluster: Cluster, case: Case) -> None:
    run = case.took(cluster.run("backtest", "none"))
    assert run.ended_workflow.attempts("backtest.replay_policy") == 3
    report = cluster.records(run)["report_backtest"]
    assert report.state == "succeeded"
    assert report.reports, "the report is not kept beside the records"
