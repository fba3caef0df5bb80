"""Every branch of the pipeline, in real local KFP runs; what matters is read from the registry and the ledger."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from evergreen.policy.history import read_history
from evergreen.registry.ledger import Ledger
from evergreen.reporting.summary import RunSummary, summarise_run
from evergreen.runs.local_home import LocalHome
from evergreen.storage.opening import open_store
from pipeline.recordings import facts, recorded_inputs
from support.local_runs import run_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.pipeline.local_run import LocalRun

PIPELINES = Path(__file__).resolve().parents[2] / "pipelines"
PIPELINE = PIPELINES / "continuous_retraining.py"
MODEL = "rain"
CHANGE = "2023-01-01"

pytestmark = [pytest.mark.timeout(600), pytest.mark.begins_first]


class Laptop:
    """A local registry, ledger and data source on which runs follow each other."""

    def __init__(self, folder: Path, events: pd.DataFrame) -> None:
        self.home = LocalHome(folder / "home")
        self.source = folder / "events.parquet"
        events.to_parquet(self.source)

    def run(self, window_end: str, pipeline_file: Path = PIPELINE, **parameters: Any) -> tuple[RunSummary, LocalRun]:
        given = {
            "data_source_uri": str(self.source),
            "data_timestamp_column": "time",
            "data_target_column": "rain",
            "data_window_days": 60,
            "data_window_end": window_end,
            "training_window_days": 365,
            "model_name": MODEL,
            **parameters,
        }
        finished = run_file(pipeline_file, given, self.home.folder)
        return summarise_run(finished.records), finished

    def champion(self) -> str:
        from mlflow import MlflowClient

        return str(MlflowClient(self.home.tracking_uri).get_model_version_by_alias(MODEL, "champion").version)

    def versions(self) -> list[str]:
        from mlflow import MlflowClient

        return sorted(str(version.version) for version in MlflowClient(self.home.tracking_uri).search_model_versions(f"name='{MODEL}'"))

    def ledger_kinds(self) -> list[str]:
        return [record.kind for record in self.ledger().records()]

    def ledger(self) -> Ledger:
        return Ledger(open_store(self.home.ledger_uri), MODEL)

    def state(self) -> tuple[str, list[str], list[str]]:
        return self.champion(), self.versions(), self.ledger_kinds()


def step_names(finished: LocalRun) -> list[str]:
    return [record.step_name for record in finished.records]


def window_digest(finished: LocalRun, artifact: str) -> str:
    """Hash of the newest file of an artifact's name among the artifacts of all local runs."""
    home = Path(finished.ledger_uri).parent
    newest = max((home / "artifacts").rglob(artifact), key=lambda path: path.stat().st_mtime)
    return hashlib.sha256(newest.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, make_events: Callable[..., pd.DataFrame]) -> Laptop:
    """A laptop on which the first run has promoted version 1."""
    stable = make_events(start="2020-01-01", days=1096, seed=1)
    changed = make_events(start=CHANGE, days=600, seed=2, shift=1.0, flip=True)
    laptop = Laptop(tmp_path_factory.mktemp("laptop"), pd.concat([stable, changed], ignore_index=True))
    summary, finished = laptop.run("2021-06-01")
    assert summary.outcome == "promoted", finished.log_file.read_text()[-3000:]
    return laptop


def test_the_first_run_promotes_because_there_is_no_champion(laptop: Laptop) -> None:
    decision, first = laptop.ledger().records()[:2]
    assert (decision.kind, decision.evidence["rule"], decision.version_after) == ("retraining", "no_champion", "none")
    assert (first.kind, first.version_before, first.version_after) == ("promotion", "none", "1")
    assert "1" in laptop.versions()
    assert laptop.ledger().verify() == []


def test_a_quiet_window_keeps_the_champion_and_trains_nothing(laptop: Laptop) -> None:
    versions = laptop.versions()
    summary, finished = laptop.run("2022-01-01")
    assert (summary.status, summary.decision, summary.outcome) == ("succeeded", "keep", "kept")
    assert summary.reasons
    assert laptop.champion() == summary.champion_after == summary.champion_before == "1"
    assert laptop.versions() == versions
    assert "train_challenger" not in step_names(finished)
    assert step_names(finished)[-1] == "record_run"
    kept = laptop.ledger().records()[-1]
    assert (kept.kind, kept.step_name, kept.evidence["champion_found"]) == ("kept", "decide_retraining", "1")


def test_the_same_window_gives_the_same_bytes_and_the_same_decision(laptop: Laptop) -> None:
    first_summary, first = laptop.run("2022-03-01")
    first_digest = window_digest(first, "dataset")
    second_summary, second = laptop.run("2022-03-01")
    assert window_digest(second, "dataset") == first_digest
    fingerprints = [next(record for record in run.records if record.step_name == "ingest_window").details["fingerprint"] for run in (first, second)]
    assert fingerprints[0] == fingerprints[1]
    assert (first_summary.decision, first_summary.reasons) == (second_summary.decision, second_summary.reasons)


def test_a_window_that_is_profiled_in_shards_drifts_as_it_does_in_one_step(laptop: Laptop) -> None:
    _, single = laptop.run("2022-01-01")
    before = laptop.state()
    given = {
        "data_source_uri": str(laptop.source),
        "data_timestamp_column": "time",
        "data_target_column": "rain",
        "data_window_end": "2022-01-01",
        "data_window_days": 60,
        "model_name": MODEL,
        "shards": 3,
    }
    sharded = run_file(PIPELINES / "sharded_drift.py", given, laptop.home.folder)
    assert not sharded.failure, sharded.log_file.read_text()[-3000:]
    assert next(record.outcome for record in sharded.records if record.step_name == "record_run") == "drift measured"
    details = [next(record.details for record in run.records if record.step_name == "detect_drift") for run in (single, sharded)]
    assert details[1]["verdict"] == details[0]["verdict"]
    assert details[1]["rows"] == details[0]["rows"]
    assert details[1]["sentence"] == details[0]["sentence"]
    p_values = [[(feature["name"], feature["p_value"]) for feature in each["features"]] for each in details]
    assert p_values[1] == p_values[0]
    assert laptop.state() == before, "a pipeline that only watches changes nothing"


def test_a_challenger_that_is_no_better_is_rejected(laptop: Laptop) -> None:
    versions = laptop.versions()
    summary, finished = laptop.run("2022-06-01", policy_mode="force")
    assert (summary.status, summary.decision, summary.outcome) == ("succeeded", "retrain", "rejected")
    assert summary.evaluation
    assert summary.evaluation.verdict == "reject"
    assert laptop.champion() == "1"
    assert laptop.versions() == versions
    assert laptop.ledger_kinds()[-2:] == ["retraining", "rejection"]
    assert laptop.ledger().records()[-1].evidence["champion_found"] == "1"
    assert "deploy_model" not in step_names(finished)
    assert "refit_challenger" not in step_names(finished)


def test_a_broken_file_fails_in_validation_and_changes_nothing(laptop: Laptop, tmp_path: Path) -> None:
    before = laptop.state()
    broken = tmp_path / "broken.parquet"
    events = pd.read_parquet(laptop.source)
    events.assign(temperature=events["temperature"] * 20 + 55).to_parquet(broken)
    summary, finished = laptop.run("2022-06-01", data_source_uri=str(broken))
    assert (summary.status, summary.outcome) == ("failed", "failed")
    assert "temperature" in summary.error
    failed = [record.step_name for record in finished.records if record.state == "failed"]
    assert failed == ["validate_window"]
    assert step_names(finished)[-1] == "record_run"
    assert laptop.state() == before


def test_a_dry_run_does_everything_but_the_promotion(laptop: Laptop) -> None:
    before = laptop.champion(), laptop.versions()
    summary, finished = laptop.run("2024-01-01", policy_mode="dry-run")
    assert (summary.decision, summary.outcome) == ("retrain", "degraded, not repaired"), finished.log_file.read_text()[-3000:]
    assert (laptop.champion(), laptop.versions()) == before
    assert summary.repair is not None
    assert (summary.repair.cause, [setting.name for setting in summary.repair.settings]) == ("dry run", ["policy_mode"])
    assert summary.repair.since


def test_a_changed_world_is_noticed_learned_and_promoted_after_approval_was_waited_for(laptop: Laptop) -> None:
    waiting, _ = laptop.run("2024-01-01", deployment_approval="required")
    assert waiting.outcome == "waiting for approval"
    assert waiting.repair is not None
    assert waiting.repair.cause == "waiting for approval"
    assert laptop.champion() == "1"
    versions = laptop.versions()

    promoted, finished = laptop.run("2024-01-01")
    assert (promoted.decision, promoted.outcome) == ("retrain", "promoted"), finished.log_file.read_text()[-3000:]
    assert promoted.repair is None
    assert promoted.evaluation is not None
    assert (promoted.evaluation.difference_lower or 0) > 0
    assert laptop.champion() == promoted.champion_after == "2"
    assert laptop.versions() == versions, "the waiting version is the same challenger and must not be registered twice"
    assert laptop.ledger().verify() == []

    again, _ = laptop.run("2024-01-01")
    assert again.outcome == "kept"
    assert laptop.champion() == "2"


@pytest.mark.parametrize(
    ("parameters", "step", "message"),
    [
        # What else each component refuses is tried in its room.
        ({"data_target_column": "snow"}, "validate_window", "snow"),
        ({"state_tracking_uri": "http://127.0.0.1:9"}, "load_champion", "http://127.0.0.1:9"),
    ],
)
def test_bad_input_fails_the_named_step_and_changes_nothing(laptop: Laptop, parameters: dict[str, Any], step: str, message: str) -> None:
    before = laptop.state()
    summary, finished = laptop.run("2022-06-01", **parameters)
    assert summary.status == "failed"
    assert [record.step_name for record in finished.records if record.state == "failed"] == [step]
    assert message in summary.error
    assert laptop.state() == before


def test_a_training_that_fails_leaves_the_decision_in_the_ledger_and_the_champion_where_it_was(laptop: Laptop) -> None:
    champion, versions, kinds = laptop.state()
    summary, finished = laptop.run("2022-06-01", policy_mode="force", training_hyperparameters='{"leaves": 3}')
    assert summary.status == "failed"
    assert [record.step_name for record in finished.records if record.state == "failed"] == ["train_challenger"]
    assert "leaves" in summary.error
    assert laptop.state() == (champion, versions, [*kinds, "retraining"])
    newest = read_history(laptop.ledger(), run_id="another")[0]
    assert (newest.window_end[:10], newest.decision, newest.completed) == ("2022-06-01", "retrain", False)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "SQLite|not a server"),
        ({"state_tracking_uri": "none"}, "state_tracking_uri"),
        ({"state_ledger_uri": "ledger"}, "relative path"),
        ({"state_ledger_uri": "none"}, "state_ledger_uri"),
    ],
)
def test_state_that_cannot_work_on_a_cluster_fails_at_once_in_a_pod(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, parameters: dict[str, str], message: str
) -> None:
    before = laptop.state()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    summary, finished = laptop.run("2022-06-01", **parameters)
    assert finished.failure
    assert re.search(message, summary.error + finished.log_file.read_text())
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert laptop.state() == before


def test_every_step_was_handed_what_a_cluster_hands_over(laptop: Laptop) -> None:
    rules = set().union(*(facts(recorded["executor_input"]) for recorded in recorded_inputs()))
    handed_over = [json.loads(file.read_text()) for file in laptop.home.artifact_folder.rglob("executor_input.json")]
    assert len(handed_over) > 10
    found = set().union(*map(facts, handed_over))
    assert sorted(found - rules) == []
    # KFP hands mappings and lists in metadata on in another form than a step wrote them.
    assert not [fact for fact in found if ".metadata.* has " in fact]
