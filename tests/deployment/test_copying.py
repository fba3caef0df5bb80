"""From one registry to another: the same bytes, a compare-and-set there, and nothing that did not pass the gate here."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.deployment.copying import CopiedVersion, CopyRequest, Place, copy_version
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.models.files import load_model
from evergreen.registry.champion import write_champion
from evergreen.registry.errors import RegistryError
from evergreen.registry.versions import ModelRegistry
from support.registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from support.registry_fixtures import World


@pytest.fixture
def there(world: World, empty_database: Path) -> World:
    """Another registry, empty."""
    folder = world.folder / "production"
    folder.mkdir()
    shutil.copy(empty_database, folder / "mlflow.db")
    return world.at(f"sqlite:///{folder}/mlflow.db", folder=folder)


@pytest.fixture
def here(world: World) -> World:
    """Version 1 was the champion, version 2 is, version 3 waits."""
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    world.promote(world.passed(world.challenger("c")), "2", run="run-3", approval="required")
    return world


def place(world: World) -> Place:
    return Place(world.tracking_uri, world.ledger_uri)


def copied(here: World, there: World, version: str = "2", **settings: Any) -> CopiedVersion:
    return copy_version(CopyRequest("rain", version, **{"reason": "ten good days", "actor": "Ada", **settings}), place(here), place(there))


def test_a_copied_version_is_the_champion_there_with_everything_that_monitoring_needs(here: World, there: World) -> None:
    result = copied(here, there)
    assert (result.outcome, result.version_there, result.champion_before, result.ledger_record) == ("promoted", "1", "none", 1)
    assert there.state() == (["1"], "1", ["promotion"])
    (record,) = there.ledger.records()
    origin = here.ledger.records()[1]
    assert (record.actor, record.challenger_id, record.evidence["challenger_score"], record.evidence["semantic_version"]) == ("Ada", "id-b", 0.9, "1.0.0")
    assert record.evidence["copied_from"] == {
        "tracking_uri": here.tracking_uri,
        "version": "2",
        "ledger_record": 2,
        "ledger_hash": origin.hash,
        "sha256": result.sha256,
    }
    outputs = there.outputs()
    assert write_champion(tracking_uri=there.tracking_uri, ledger_uri=there.ledger_uri, model_name="rain", **outputs).version == "1"
    rows = here.material.rows
    np.testing.assert_array_equal(load_model(outputs["model"].path).predict(rows), load_model(here.folder / "b" / "model").predict(rows))
    assert there.tags("1")["evergreen.data_fingerprint"] == "f-1"


def test_the_same_copy_again_changes_nothing(here: World, there: World) -> None:
    copied(here, there)
    before = there.state(), ledger_bytes(there)
    assert copied(here, there).outcome == "already champion"
    assert (there.state(), ledger_bytes(there)) == before


@pytest.mark.parametrize(
    "killed",
    [
        "evergreen.registry.versions.ModelRegistry.register",
        "evergreen.deployment.copying._Copy._check_copy",
        "evergreen.registry.ledger.Ledger.append",
        "evergreen.deployment.copying.serve_champion",
    ],
)
def test_a_copy_that_was_killed_anywhere_is_finished_by_running_it_again(here: World, there: World, monkeypatch: pytest.MonkeyPatch, killed: str) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(killed, lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            copied(here, there)
    assert copied(here, there).version_there == "1"
    assert there.state() == (["1"], "1", ["promotion"])


def test_a_copy_whose_bytes_differ_is_not_promoted(here: World, there: World, monkeypatch: pytest.MonkeyPatch) -> None:
    register = ModelRegistry.register_files

    def tampered(self: ModelRegistry, files: Path, **settings: Any) -> str:
        (files / "requirements.txt").write_text("evil==1\n")
        return register(self, files, **settings)

    monkeypatch.setattr(ModelRegistry, "register_files", tampered)
    with pytest.raises(DeploymentError, match=r"version 1 there does not contain the same bytes. Nothing was promoted; delete that version and copy again"):
        copied(here, there)
    assert there.state() == (["1"], None, [])


def test_another_champion_there_is_not_overwritten(here: World, there: World) -> None:
    copied(here, there, "1", expected_champion="none")
    before = there.state(), ledger_bytes(there)
    with pytest.raises(DeploymentError, match=r"the champion there is version 1; expected version none. Nothing was promoted"):
        copied(here, there, expected_champion="none")
    assert (there.state(), ledger_bytes(there)) == before
    assert copied(here, there, expected_champion="1").champion_before == "1"


def test_what_was_rolled_back_on_either_side_is_refused(here: World, there: World) -> None:
    copied(here, there, "1")
    copied(here, there, "2")
    roll_back(RollbackRequest("rain", "it crashes", run_id="back"), tracking_uri=there.tracking_uri, ledger_uri=there.ledger_uri)
    before = there.state(), ledger_bytes(there)
    with pytest.raises(DeploymentError, match=r"copy of version 2 .* was rolled back by ledger record 3 \(it crashes\) and cannot be promoted again"):
        copied(here, there, "2")
    roll_back(RollbackRequest("rain", "it lies", run_id="back"), tracking_uri=here.tracking_uri, ledger_uri=here.ledger_uri)
    with pytest.raises(DeploymentError, match=r"ledger record 4 rolled it back here \(it lies\). Copy a good version"):
        copied(here, there, "2")
    assert (there.state(), ledger_bytes(there)) == before


@pytest.mark.parametrize(
    ("version", "settings", "told"),
    [
        ("3", {}, "it was never promoted here, so it did not pass the gate"),
        ("9", {}, "has no version 9"),
        ("2", {"reason": " "}, "the reason is ' '; expected text"),
        ("2", {"targets": "moon"}, "Unknown target 'moon'"),
    ],
)
def test_what_cannot_be_copied_is_refused(here: World, there: World, version: str, settings: dict[str, Any], told: str) -> None:
    with pytest.raises((DeploymentError, RegistryError), match=told):
        copied(here, there, version, **settings)
    assert there.state() == ([], None, [])


def test_a_registry_is_not_copied_onto_itself(here: World) -> None:
    before = here.state(), ledger_bytes(here)
    with pytest.raises(DeploymentError, match=r"both registries are sqlite:.*; expected two different ones. Pass the other server"):
        copied(here, here)
    assert (here.state(), ledger_bytes(here)) == before


def test_the_command_says_what_it_did(here: World, there: World) -> None:
    words = ["copy", "rain", "2", "--to-tracking-uri", there.tracking_uri, "--to-ledger-uri", there.ledger_uri, "--reason", "ten good days"]
    words += ["--tracking-uri", here.tracking_uri, "--ledger-uri", here.ledger_uri]
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, said.output
    assert "Copied version 2 of model 'rain' as version 1:" in said.stdout
    assert "Promoted there, replacing none (ledger record 1)." in said.stdout
    assert json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)["outcome"] == "already champion"
