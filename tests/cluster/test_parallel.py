"""Pipelines whose steps run side by side: shards of a window, of a search, policies of a backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case


@pytest.fixture(scope="module")
def side_by_side(cluster: Cluster, quiet_day: Run) -> dict[str, Run]:
    """The three runs, started together: they share nothing but the cluster."""
    models = {"shards": quiet_day.model, "search": cluster.model("search"), "backtest": "none"}
    return {name: cluster.start(name, model) for name, model in models.items()}


def test_drift_in_shards(cluster: Cluster, quiet_day: Run, side_by_side: dict[str, Run], case: Case) -> None:
    records = cluster.records(case.took(cluster.finish(side_by_side["shards"])))
    assert records["plan_shards"].outcome == "3 shards"
    # The whole, whatever the number of shards: the window of the quiet day, judged as on that day.
    assert records["merge_profiles"].outcome == "365 rows"
    assert records["detect_drift"].outcome == cluster.records(quiet_day)["detect_drift"].outcome


def test_a_search_in_shards(cluster: Cluster, side_by_side: dict[str, Run], case: Case) -> None:
    run = case.took(cluster.finish(side_by_side["search"]))
    records = cluster.records(run)
    assert records["plan_search"].outcome == "4 candidates in 2 shards"
    assert records["choose_candidate"].outcome.startswith("candidate ")
    assert cluster.summary(run).outcome == "searched"


def test_a_backtest(cluster: Cluster, side_by_side: dict[str, Run], case: Case) -> None:
    run = case.took(cluster.finish(side_by_side["backtest"]))
    assert run.ended_workflow.attempts("backtest.replay_policy") == 3
    report = cluster.records(run)["report_backtest"]
    assert report.state == "succeeded"
    assert report.reports, "the report is not kept beside the records"
