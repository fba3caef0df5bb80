"""continuous_retraining and lean_retraining on the same inputs: identical decisions, records, verdicts, reports, windows and ledgers."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.storage.opening import open_store
from support.laptop import MODEL, PIPELINES, WITHOUT_SERVING, Laptop, events_that_change

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pandas as pd

    from evergreen.pipeline.local_run import LocalRun
    from evergreen.reporting.summary import RunSummary

pytestmark = [pytest.mark.timeout(900), pytest.mark.begins_first]

WAYS = ("continuous_retraining", "lean_retraining")
SCENARIOS: dict[str, tuple[dict[str, Any], str]] = {
    "first run": ({"window_end": "2021-06-01", "policy_config": WITHOUT_SERVING}, "promoted"),
    "quiet day": ({"window_end": "2022-01-01"}, "kept"),
    "no better": ({"window_end": "2022-06-01", "policy_mode": "force"}, "rejected"),
    "broken contract": ({"window_end": "2022-07-01", "data_source_uri": "broken.parquet"}, "failed"),
    "changed world": ({"window_end": "scheduled"}, "promoted"),
}
WRITTEN_NS = 1_700_000_000_000_000_000
PASSING = re.compile(
    r"seconds|megabytes|milliseconds|duration|started_at|created|_uri$|mlflow_run_id|peak_memory|^time$|run_id|hash$|^reports$|final_status|promoted_at"
)
"""Names of what differs between two runs of one pipeline, too: times, durations, memory, places and ids of runs."""


def lasting(value: Any) -> Any:
    """Return a value without what differs between two runs of one pipeline."""
    if isinstance(value, dict):
        return {name: lasting(item) for name, item in value.items() if not PASSING.search(name)}
    if isinstance(value, (list, tuple)):
        return [lasting(item) for item in value]
    if isinstance(value, str):
        # Folders of the two homes, and measured times inside sentences.
        return re.sub(r"/\S*/(?=[\w.]+)|\d[\d.,]* (ms|milliseconds|s|seconds|MB|megabytes)\b", "", value)
    return value


def differences(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """Return where two values differ, and how."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        names = sorted(set(ours) | set(theirs), key=str)
        return [found for name in names for found in differences(ours.get(name, "absent"), theirs.get(name, "absent"), f"{place}.{name}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [found for index, pair in enumerate(zip(ours, theirs, strict=True)) for found in differences(*pair, f"{place}[{index}]")]
    return [] if ours == theirs else [f"{place}: {ours!r} is not {theirs!r}"]


class Told:
    """What is left of a run."""

    def __init__(self, laptop: Laptop, summary: RunSummary, finished: LocalRun) -> None:
        self.failure = finished.log_file.read_text()[-3000:]
        records = {record.step_name: record for record in finished.records}
        self.steps = sorted(records)
        self.order = [record.step_name for record in finished.records]
        self.records = {name: lasting(vars(record)) for name, record in records.items() if name != "record_run"}
        self.reports = {name: sorted(record.reports) for name, record in records.items()}
        self.summary = lasting({name: value for name, value in summary.to_json().items() if name != "steps"})
        self.ledger = [lasting(vars(record)) for record in laptop.ledger().records()]
        self.windows = sorted(open_store(laptop.home.ledger_uri).names("windows/"))
        self.champion = laptop.champion()
        self.versions = laptop.versions()

    @property
    def state(self) -> tuple[str, list[str], list[dict[str, Any]]]:
        return self.champion, self.versions, self.ledger


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, make_events: Callable[..., pd.DataFrame], empty_database: Path) -> dict[str, dict[str, Told]]:
    """Every scenario, one after the other, by either pipeline on a laptop of its own."""
    events = events_that_change(make_events)
    found: dict[str, dict[str, Told]] = {}
    for way in WAYS:
        laptop = Laptop(tmp_path_factory.mktemp(way), events, empty_database)
        broken = laptop.source.with_name("broken.parquet")
        events.assign(temperature=events["temperature"] * 20 + 55).to_parquet(broken)
        for file in (laptop.source, broken):
            # A local file's version is the time of its last change.
            os.utime(file, ns=(WRITTEN_NS, WRITTEN_NS))
        for name, (parameters, _) in SCENARIOS.items():
            given = {**parameters, **({"data_source_uri": str(broken)} if "data_source_uri" in parameters else {})}
            found.setdefault(name, {})[way] = Told(laptop, *laptop.run(pipeline_file=PIPELINES / f"{way}.py", **given))
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_both_pipelines_do_the_same(told: dict[str, dict[str, Told]], scenario: str) -> None:
    whole, lean = (told[scenario][way] for way in WAYS)
    assert whole.summary["outcome"] == SCENARIOS[scenario][1], whole.failure
    assert lean.summary["outcome"] == SCENARIOS[scenario][1], lean.failure
    assert lean.steps == whole.steps
    assert lean.reports == whole.reports
    assert differences(lean.records, whole.records) == []
    assert differences(lean.summary, whole.summary) == []
    assert differences(lean.ledger, whole.ledger) == []
    assert lean.windows == whole.windows
    assert (lean.champion, lean.versions) == (whole.champion, whole.versions)


def test_the_ledger_tells_every_outcome_once_by_the_step_that_found_it(told: dict[str, dict[str, Told]]) -> None:
    for way in WAYS:
        ledger = told["changed world"][way].ledger
        assert [(record["kind"], record["step_name"]) for record in ledger] == [
            ("retraining", "decide_retraining"),
            ("promotion", "deploy_model"),
            ("kept", "decide_retraining"),
            ("retraining", "decide_retraining"),
            ("rejection", "evaluate_challenger"),
            ("retraining", "decide_retraining"),
            ("promotion", "deploy_model"),
        ]
        assert [record["version_after"] for record in ledger] == ["none", "1", "1", "1", "1", "1", "2"]


@pytest.mark.parametrize("way", WAYS)
def test_a_quiet_window_keeps_the_champion_and_trains_nothing(told: dict[str, dict[str, Told]], way: str) -> None:
    before, run = told["first run"][way], told["quiet day"][way]
    assert (run.summary["status"], run.summary["decision"], run.summary["outcome"]) == ("succeeded", "keep", "kept")
    assert run.summary["reasons"]
    assert run.champion == run.summary["champion_after"] == run.summary["champion_before"] == "1"
    assert run.versions == before.versions
    assert "train_challenger" not in run.steps
    assert run.order[-1] == "record_run"
    kept = run.ledger[-1]
    assert (kept["kind"], kept["step_name"], kept["evidence"]["champion_found"]) == ("kept", "decide_retraining", "1")


@pytest.mark.parametrize("way", WAYS)
def test_a_challenger_that_is_no_better_is_rejected(told: dict[str, dict[str, Told]], way: str) -> None:
    before, run = told["quiet day"][way], told["no better"][way]
    assert (run.summary["status"], run.summary["decision"], run.summary["outcome"]) == ("succeeded", "retrain", "rejected")
    assert run.summary["evaluation"]["verdict"] == "reject"
    assert run.champion == "1"
    assert run.versions == before.versions
    assert [record["kind"] for record in run.ledger][-2:] == ["retraining", "rejection"]
    assert run.ledger[-1]["evidence"]["champion_found"] == "1"
    assert {"deploy_model", "refit_challenger"}.isdisjoint(run.steps)


@pytest.mark.parametrize("way", WAYS)
def test_data_that_breaks_the_contract_fails_in_validation_and_changes_nothing(told: dict[str, dict[str, Told]], way: str) -> None:
    before, run = told["no better"][way], told["broken contract"][way]
    assert (run.summary["status"], run.summary["outcome"]) == ("failed", "failed")
    assert "temperature" in run.summary["error"]
    assert [name for name, record in run.records.items() if record["state"] == "failed"] == ["validate_window"]
    assert set(run.steps) == {"load_champion", "ingest_window", "validate_window", "record_run"}
    assert run.order[-1] == "record_run"
    assert run.reports["validate_window"] == ["validation_report"]
    assert run.state == before.state


def test_a_run_without_a_schedule_looks_at_the_newest_data(told: dict[str, dict[str, Told]]) -> None:
    for way in WAYS:
        details = told["changed world"][way].records["ingest_window"]["details"]
        assert details["window_end"] == "2024-08-23T00:00:00Z"
        assert "schedule_slot" not in details


def test_the_training_window_ends_where_the_watched_one_does(told: dict[str, dict[str, Told]]) -> None:
    for way in WAYS:
        for scenario in ("first run", "no better", "changed world"):
            records = told[scenario][way].records
            assert records["ingest_training_data"]["details"]["window_end"] == records["ingest_window"]["details"]["window_end"]
    assert MODEL in told["first run"][WAYS[1]].windows[0]
