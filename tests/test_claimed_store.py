"""A store in which MLflow decides who creates an object: what a killed holder leaves, and what a late one finds."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from evergreen.errors import StateError
from evergreen.registry.ledger import Entry, Ledger
from evergreen.storage.local import LocalStore
from evergreen.storage.mlflow_claims import ClaimedStore
from evergreen.storage.uris import check_ledger_uri


class KilledBeforeWriting(LocalStore):
    """A folder whose user is killed after the claim and before the object."""

    def write(self, name: str, content: bytes) -> None:  # noqa: ARG002 - a store's method
        raise KeyboardInterrupt


@pytest.fixture
def tracking_uri(empty_database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return os.environ["MLFLOW_TRACKING_URI"]


@pytest.mark.usefixtures("tracking_uri")
def test_a_claim_whose_holder_was_killed_is_completed_by_the_next(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    evidence = {"reason": "x" * 20_000, "numbers": list(range(5000))}
    killed = Ledger(ClaimedStore(KilledBeforeWriting(folder)), "rain")
    with pytest.raises(KeyboardInterrupt):
        killed.append(Entry("promotion", version_after="1", run_id="a", step_name="deploy_model", evidence=evidence))
    ledger = Ledger(ClaimedStore(LocalStore(folder)), "rain")
    assert ledger.records() == []

    ledger.append(Entry("kept", run_id="b", step_name="keep_champion"))
    assert [(record.run_id, record.version_after) for record in ledger.records()] == [("a", "1"), ("b", "1")]
    assert ledger.records()[0].evidence == evidence
    assert ledger.verify() == []


@pytest.mark.usefixtures("tracking_uri")
def test_the_killed_step_run_again_finds_its_own_record(tmp_path: Path) -> None:
    folder = str(tmp_path / "state")
    entry = Entry("promotion", version_after="1", run_id="a", step_name="deploy_model")
    with pytest.raises(KeyboardInterrupt):
        Ledger(ClaimedStore(KilledBeforeWriting(folder)), "rain").append(entry)
    ledger = Ledger(ClaimedStore(LocalStore(folder)), "rain")
    ledger.append(entry, expected_champion="none")
    assert [(record.number, record.run_id) for record in ledger.records()] == [(1, "a")]


@pytest.mark.usefixtures("tracking_uri")
def test_a_holder_that_wakes_up_late_changes_nothing(tmp_path: Path) -> None:
    class Slow(LocalStore):
        def write(self, name: str, content: bytes) -> None:
            # Meanwhile another comes along, completes this claim and goes on.
            Ledger(ClaimedStore(LocalStore(self.uri)), "rain").append(Entry("promotion", version_after="2", run_id="b", step_name="deploy_model"))
            super().write(name, content)

    slow = Ledger(ClaimedStore(Slow(str(tmp_path / "state"))), "rain")
    slow.append(Entry("promotion", version_after="1", run_id="a", step_name="deploy_model"), expected_champion="none")
    assert [(record.run_id, record.version_before, record.version_after) for record in slow.records()] == [("a", "none", "1"), ("b", "1", "2")]
    assert slow.verify() == []


def test_a_claim_that_somebody_changed_is_named(tmp_path: Path, tracking_uri: str) -> None:
    from mlflow import MlflowClient

    store = ClaimedStore(KilledBeforeWriting(str(tmp_path / "state")))
    with pytest.raises(KeyboardInterrupt):
        store.create("ledger/rain/00000001.json", b"record")
    client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    (claim,) = client.search_registered_models()
    assert claim.description is not None
    assert "Evergreen's claim on ledger/rain/00000001.json" in claim.description
    client.set_registered_model_tag(claim.name, "evergreen.content.0", "forged")
    with pytest.raises(StateError, match=rf"registered model '{claim.name}' at .* no longer holds the content claimed for 'ledger/rain/00000001.json'"):
        ClaimedStore(LocalStore(str(tmp_path / "state"))).create("ledger/rain/00000001.json", b"other")
    assert not (tmp_path / "state").exists()


def test_without_a_server_nothing_is_claimed_and_nothing_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(StateError, match=r"ledger URI 'mlflow\+.*state': .*MLFLOW_TRACKING_URI is not set"):
        ClaimedStore(LocalStore(str(tmp_path / "state")))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(StateError, match="the MLflow server cannot be reached"):
        ClaimedStore(LocalStore(str(tmp_path / "state"))).create("slot", b"x")
    assert not (tmp_path / "state").exists()


def test_on_a_cluster_the_place_behind_the_prefix_has_to_be_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert check_ledger_uri("mlflow+s3://bucket/state") == "mlflow+s3://bucket/state"
    with pytest.raises(StateError, match=r"'mlflow\+state' is a relative path"):
        check_ledger_uri("mlflow+state")
