"""Every branch of the pipeline, in real local KFP runs; what matters is read from the registry and the ledger."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from evergreen.policy.history import read_history
from pipeline.recordings import facts, recorded_inputs
from support.laptop import MODEL, PIPELINES, WITHOUT_SERVING, Laptop, events_that_change
from support.local_runs import run_file

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from evergreen.pipeline.local_run import LocalRun
    from evergreen.reporting.summary import RunSummary

pytestmark = [pytest.mark.timeout(600), pytest.mark.begins_first]

QUIET_DAY = "2022-01-01"


class Seen(NamedTuple):
    """A run, and the hash of the window that it read."""

    summary: RunSummary
    finished: LocalRun
    window_digest: str


def watch(laptop: Laptop) -> Seen:
    summary, finished = laptop.run(QUIET_DAY)
    return Seen(summary, finished, window_digest(finished, "dataset"))


def window_digest(finished: LocalRun, artifact: str) -> str:
    """Hash of the newest file of an artifact's name among the artifacts of all local runs."""
    home = Path(finished.ledger_uri).parent
    newest = max((home / "artifacts").rglob(artifact), key=lambda path: path.stat().st_mtime)
    return hashlib.sha256(newest.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def laptop(tmp_path_factory: pytest.TempPathFactory, make_events: Callable[..., pd.DataFrame], empty_database: Path) -> Laptop:
    """A laptop on which the first run has promoted version 1."""
    laptop = Laptop(tmp_path_factory.mktemp("laptop"), events_that_change(make_events), empty_database)
    summary, finished = laptop.run("2021-06-01")
    assert summary.outcome == "promoted", finished.log_file.read_text()[-3000:]
    return laptop


@pytest.fixture(scope="module")
def quiet(laptop: Laptop) -> Seen:
    """A run that has no reason to retrain."""
    return watch(laptop)


@pytest.fixture(scope="module")
def empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for several tests: steps in another folder are forked from another process, which imports everything again."""
    return tmp_path_factory.mktemp("empty")


def test_the_first_run_promotes_because_there_is_no_champion(laptop: Laptop) -> None:
    decision, first = laptop.ledger().records()[:2]
    assert (decision.kind, decision.evidence["rule"], decision.version_after) == ("retraining", "no_champion", "none")
    assert (first.kind, first.version_before, first.version_after) == ("promotion", "none", "1")
    assert "1" in laptop.versions()
    assert laptop.ledger().verify() == []


def test_the_same_window_gives_the_same_bytes_and_the_same_decision(laptop: Laptop, quiet: Seen) -> None:
    again = watch(laptop)
    assert again.window_digest == quiet.window_digest
    records = [next(record for record in run.finished.records if record.step_name == "ingest_window") for run in (quiet, again)]
    assert records[0].details["fingerprint"] == records[1].details["fingerprint"]
    assert (quiet.summary.decision, quiet.summary.reasons) == (again.summary.decision, again.summary.reasons)


def test_a_window_that_is_profiled_in_shards_drifts_as_it_does_in_one_step(laptop: Laptop, quiet: Seen) -> None:
    before = laptop.state()
    given = {
        "data_source_uri": str(laptop.source),
        "data_timestamp_column": "time",
        "data_target_column": "rain",
        "data_window_end": QUIET_DAY,
        "data_window_days": 60,
        "model_name": MODEL,
        "shards": 3,
    }
    sharded = run_file(PIPELINES / "sharded_drift.py", given, laptop.home.folder)
    assert not sharded.failure, sharded.log_file.read_text()[-3000:]
    assert next(record.outcome for record in sharded.records if record.step_name == "record_run") == "drift measured"
    details = [next(record.details for record in run.records if record.step_name == "detect_drift") for run in (quiet.finished, sharded)]
    assert details[1]["verdict"] == details[0]["verdict"]
    assert details[1]["rows"] == details[0]["rows"]
    assert details[1]["sentence"] == details[0]["sentence"]
    p_values = [[(feature["name"], feature["p_value"]) for feature in each["features"]] for each in details]
    assert p_values[1] == p_values[0]
    assert laptop.state() == before, "a pipeline that only watches changes nothing"


def test_a_dry_run_does_everything_but_the_promotion(laptop: Laptop) -> None:
    before = laptop.champion(), laptop.versions()
    summary, finished = laptop.run("2024-01-01", policy_mode="dry-run", policy_config=WITHOUT_SERVING)
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
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch, empty_folder: Path, parameters: dict[str, str], message: str
) -> None:
    before = laptop.state()
    monkeypatch.chdir(empty_folder)
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
