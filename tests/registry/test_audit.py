"""What an audit finds, what a bundle holds, and what the commands say."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.models.files import load_model
from evergreen.registry.audit import audit
from evergreen.registry.bundle import write_bundle
from evergreen.registry.champion import write_champion
from evergreen.registry.errors import LedgerError, RegistryError
from evergreen.registry.ledger import Entry
from evergreen.registry.versions import ModelRegistry
from support.registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from support.registry_fixtures import World


@pytest.fixture
def promoted(world: World) -> World:
    """Version 1 is the champion; a later run kept it."""
    world.promote(world.passed(world.challenger("a")))
    world.ledger.append(Entry("kept", run_id="run-2", step_name="keep_champion", evidence={"sentence": "Nothing to do."}))
    return world


def registry(world: World) -> ModelRegistry:
    return ModelRegistry(world.tracking_uri, world.model_name)


def file_of(world: World, number: int) -> Path:
    return Path(world.ledger_uri) / "ledger" / "rain" / f"{number:08d}.json"


def arguments(world: World) -> list[str]:
    return ["--tracking-uri", world.tracking_uri, "--ledger-uri", world.ledger_uri]


def load(world: World, name: str = "loaded") -> str:
    return write_champion(tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri, model_name="rain", **world.outputs(name)).version


def test_an_intact_ledger_holds(promoted: World) -> None:
    found = audit(promoted.ledger, registry(promoted))
    assert (found.records, found.champion, found.problems) == (2, "1", [])
    said = CliRunner().invoke(app, ["audit", "verify", "rain", *arguments(promoted)])
    assert said.exit_code == 0
    assert "The ledger of model 'rain' is intact: 2 records in one chain, champion 1; the registry notes record 1 as written." in said.stdout


def test_loading_the_champion_notes_the_newest_record(promoted: World) -> None:
    load(promoted)
    assert audit(promoted.ledger, registry(promoted)).noted_head == f"2:{promoted.ledger.records()[-1].hash}"


def test_a_tail_that_was_cut_off_is_found_and_stops_the_next_run(promoted: World) -> None:
    load(promoted)
    file_of(promoted, 2).unlink()
    before = promoted.state(), ledger_bytes(promoted)
    said = CliRunner().invoke(app, ["audit", "verify", "rain", "--json", *arguments(promoted)])
    assert said.exit_code == 1
    assert json.loads(said.stdout)["problems"] == ["Record 2 is missing, although the registry notes it as written."]
    with pytest.raises(LedgerError, match=r"the registry notes record 2 as written, but the ledger's newest is record 1: its end was cut off or rewritten"):
        load(promoted, "again")
    assert (promoted.state(), ledger_bytes(promoted)) == before
    assert not (promoted.folder / "again").exists()


def test_a_rewritten_end_stops_the_next_run(promoted: World) -> None:
    load(promoted)
    file_of(promoted, 2).unlink()
    promoted.ledger.append(Entry("kept", run_id="run-2", step_name="keep_champion", evidence={"sentence": "Forged."}))
    with pytest.raises(LedgerError, match="newest is a different record with that number: its end was cut off or rewritten"):
        load(promoted, "again")
    assert audit(promoted.ledger, registry(promoted)).problems == ["Record 2 differs from the one noted in the registry: the end of the ledger was rewritten."]


def test_an_edited_record_is_named(promoted: World) -> None:
    file_of(promoted, 1).write_bytes(file_of(promoted, 1).read_bytes().replace(b"0.9", b"0.8"))
    said = CliRunner().invoke(app, ["audit", "verify", "rain", *arguments(promoted)])
    assert said.exit_code == 1
    assert "was tampered with or damaged:\n  Record 1 was edited: its content does not match its hash." in said.stdout


def test_a_note_that_is_none_is_named(promoted: World) -> None:
    promoted.client.set_registered_model_tag("rain", "evergreen.ledger_head", "7")
    assert "its tag evergreen.ledger_head is '7'; expected number:hash" in audit(promoted.ledger, registry(promoted)).problems[0]
    with pytest.raises(LedgerError, match="expected number:hash"):
        load(promoted)


def test_nothing_is_noted_of_a_model_that_is_not_registered_yet(world: World) -> None:
    world.ledger.append(Entry("rejection", run_id="run-1", step_name="reject_challenger"))
    assert load(world) == "none"
    assert world.versions() == []
    assert audit(world.ledger, registry(world)).problems == []


def test_a_bundle_holds_everything_about_a_version(promoted: World) -> None:
    runs = Path(promoted.ledger_uri) / "runs" / "run-1"
    runs.mkdir(parents=True)
    (runs / "deploy_model.json").write_text("{}")
    folder = promoted.folder / "bundle"
    said = CliRunner().invoke(app, ["audit", "bundle", "rain", "1", "-o", str(folder), *arguments(promoted)])
    assert said.exit_code == 0, said.output
    assert "about version 1 of model 'rain'" in said.stdout
    files = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert {
        "README.md",
        "version.json",
        "records.json",
        "audit.json",
        "evidence/baseline.json",
        "evidence/contract.yaml",
        "evidence/model_card.md",
        "evidence/model_card.html",
        "runs/run-1/deploy_model.json",
    } <= files
    assert {name for name in files if name.startswith("ledger/")} == {"ledger/00000001.json", "ledger/00000002.json"}
    assert load_model(folder / "model").description.challenger_id == "id-a"
    assert [record["number"] for record in json.loads((folder / "records.json").read_text())] == [1]
    card = (folder / "evidence" / "model_card.md").read_text()
    assert "| Identity | id-a |" in card
    assert "Measured on challenger judged-a, before" in card
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == files - {"SHA256SUMS"}
    assert all(hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())


def test_a_bundle_overwrites_nothing_and_is_whole_or_absent(promoted: World) -> None:
    folder = promoted.folder / "bundle"
    folder.mkdir()
    with pytest.raises(RegistryError, match=r"Bundle folder '.*' already exists"):
        write_bundle(folder, "1", registry=registry(promoted), ledger=promoted.ledger, store=promoted.ledger._store)
    assert list(folder.iterdir()) == []
    other = promoted.folder / "other"
    with pytest.raises(RegistryError, match="has no version 9"):
        write_bundle(other, "9", registry=registry(promoted), ledger=promoted.ledger, store=promoted.ledger._store)
    promoted.client.delete_run(promoted.client.get_model_version("rain", "1").run_id)
    file_of(promoted, 1).write_bytes(b"{")
    with pytest.raises(LedgerError, match="Record 1 of the ledger"):
        write_bundle(other, "1", registry=registry(promoted), ledger=promoted.ledger, store=promoted.ledger._store)
    assert not other.exists()
    assert not list(promoted.folder.glob(".unfinished-*"))
