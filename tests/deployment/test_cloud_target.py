"""A bucket as serving target, on an emulator that the official client talks to, and what a consumer gets from it."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.deployment.cloud_target import GoogleCloudTarget
from evergreen.deployment.component import load_champion
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.published_model import KEY_VARIABLE, Pointer
from evergreen.deployment.pulling import pull
from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.deployment.targets import target_names
from evergreen.errors import StateError
from evergreen.models.files import load_model
from evergreen.registry.versions import ModelRegistry
from evergreen.runs.records import read_run
from evergreen.storage.google_cloud import open_bucket
from evergreen.storage.local import LocalStore

if TYPE_CHECKING:
    from support.registry_fixtures import World

pytestmark = pytest.mark.gcs


@pytest.fixture
def uri(google_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_server)
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    name = f"models-{uuid.uuid4().hex[:8]}"
    bucket, _ = open_bucket(f"gs://{name}")
    bucket.client.create_bucket(bucket)
    return f"gs://{name}/published"


def objects(uri: str) -> dict[str, int]:
    """Return the generation of every object below the model, by its name there."""
    bucket, prefix = open_bucket(uri)
    return {blob.name.removeprefix(f"{prefix}rain/"): blob.generation for blob in bucket.client.list_blobs(bucket, prefix=prefix)}


def target(world: World, uri: str) -> GoogleCloudTarget:
    return GoogleCloudTarget(uri, ModelRegistry(world.tracking_uri, world.model_name))


def overwrite(uri: str, name: str, content: bytes) -> None:
    bucket, prefix = open_bucket(uri)
    bucket.blob(f"{prefix}rain/{name}").upload_from_string(content)


@pytest.fixture
def published(world: World, uri: str) -> World:
    """Version 1 is the champion, in registry and bucket."""
    world.promote(world.passed(world.challenger("a")), targets=f"registry,{uri}")
    return world


def test_a_promoted_version_is_published_whole_and_pulled(published: World, uri: str) -> None:
    names = objects(uri)
    folder = next(name for name in names if name.endswith("/manifest.json")).removesuffix("/manifest.json")
    assert folder.startswith("versions/1-")
    assert set(names) > {"current.json", f"{folder}/model/MLmodel"}
    assert not [name for name in names if "/evergreen/" in name]
    result = pull(uri, "rain", published.folder / "edge")
    assert (result.version, result.changed, result.signed) == ("1", True, False)
    rows = published.material.rows
    expected = load_model(published.folder / "a" / "model").predict(rows)
    np.testing.assert_array_equal(load_model(published.folder / "edge" / "current").predict(rows), expected)


def test_the_same_step_again_uploads_nothing_more(published: World, uri: str) -> None:
    before = objects(uri)
    inputs = published.folder / "a"
    assert inputs.is_dir()
    again = target(published, uri)
    again.stage("1")
    again.finish("1")
    assert objects(uri) == before


def test_a_half_upload_is_never_pointed_at_and_is_gone_on_with(published: World, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    second = published.passed(published.challenger("b", weights=1))
    create = GoogleCloudTarget._create

    def killed(self: GoogleCloudTarget, name: str, file: Path, present: str | None) -> None:
        if name.endswith(("manifest.json", "MLmodel")):
            raise KeyboardInterrupt
        create(self, name, file, present)

    with monkeypatch.context() as patched:
        patched.setattr(GoogleCloudTarget, "_create", killed)
        with pytest.raises(KeyboardInterrupt):
            published.promote(second, "1", run="run-2", targets=f"registry,{uri}")
    half = {name: generation for name, generation in objects(uri).items() if name.startswith("versions/2-")}
    assert half
    assert not [name for name in half if name.endswith("manifest.json")]
    assert pull(uri, "rain", published.folder / "edge").version == "1"
    assert published.promote(second, "1", run="run-2", targets=f"registry,{uri}").outcome == "promoted"
    assert {name: generation for name, generation in objects(uri).items() if name in half} == half
    assert pull(uri, "rain", published.folder / "edge").version == "2"


def test_a_consumer_switches_at_once_and_only_when_there_is_something_new(published: World, uri: str) -> None:
    edge = published.folder / "edge"
    pull(uri, "rain", edge)
    first = (edge / "current").resolve()
    assert pull(uri, "rain", edge).changed is False
    published.promote(published.passed(published.challenger("b", weights=1)), "1", run="run-2", targets=f"registry,{uri}")
    assert pull(uri, "rain", edge).changed is True
    assert (edge / "current").resolve() != first
    assert first.is_dir()
    assert sorted(file.name for file in edge.iterdir()) == ["current", "versions"]


@pytest.mark.parametrize("named", [False, True])
def test_a_rollback_points_back_wherever_the_champion_was_promoted_to(published: World, uri: str, named: bool) -> None:
    published.promote(published.passed(published.challenger("b", weights=1)), "1", run="run-2", targets=f"registry,{uri}")
    request = RollbackRequest("rain", "it crashes", targets=f"registry,{uri}" if named else "default", run_id="back-1")
    roll_back(request, tracking_uri=published.tracking_uri, ledger_uri=published.ledger_uri)
    assert target(published, uri).observe() == {"1": 1.0}
    assert published.alias() == "1"
    assert published.ledger.records()[-1].evidence["targets"] == f"registry,{uri}"


def test_loading_the_champion_brings_a_pointer_back_that_went_astray(published: World, uri: str) -> None:
    published.promote(published.passed(published.challenger("b", weights=1)), "1", run="run-2", targets=f"registry,{uri}")
    target(published, uri).finish("1")

    def load(name: str) -> list[str]:
        load_champion.python_func(
            **published.outputs(name), model_name="rain", tracking_uri=published.tracking_uri, ledger_uri=published.ledger_uri, run_id=f"run-{name}"
        )
        (record,) = read_run(LocalStore(published.ledger_uri), f"run-{name}")
        repaired: list[str] = record.details["targets_repaired"]
        return repaired

    assert load("once") == [uri]
    assert pull(uri, "rain", published.folder / "edge").version == "2"
    assert load("twice") == []


def test_a_flip_that_another_one_came_before_is_done_on_what_is_there_now(published: World, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = target(published, uri)
    mine.stage("1")
    read = GoogleCloudTarget._pointer
    overwrite(uri, "current.json", Pointer("rain", "7", "versions/7-x", "0").to_bytes())

    def overtaken(self: GoogleCloudTarget) -> Any:
        found = read(self)
        monkeypatch.setattr(GoogleCloudTarget, "_pointer", read)
        overwrite(uri, "current.json", Pointer("rain", "8", "versions/8-x", "0").to_bytes())
        return found

    monkeypatch.setattr(GoogleCloudTarget, "_pointer", overtaken)
    mine.finish("1")
    assert mine.observe() == {"1": 1.0}


def test_a_pointer_that_others_keep_flipping_is_given_up(published: World, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = target(published, uri)
    mine.stage("1")
    other = Pointer("rain", "8", "versions/8-x", "0")
    overwrite(uri, "current.json", other.to_bytes())
    with monkeypatch.context() as patched:
        patched.setattr(GoogleCloudTarget, "_pointer", lambda _: (other, 1))
        with pytest.raises(DeploymentError, match=r"other writers keep moving the pointer away from version 1. Run again"):
            mine.finish("1")
    assert json.loads(open_bucket(uri)[0].blob("published/rain/current.json").download_as_bytes())["version"] == "8"


@pytest.mark.parametrize("changed", ["model/MLmodel", "manifest.json"])
def test_what_was_changed_in_the_bucket_is_neither_taken_nor_published_over(published: World, uri: str, changed: str) -> None:
    edge = published.folder / "edge"
    pull(uri, "rain", edge)
    before = (edge / "current").resolve()
    published.promote(published.passed(published.challenger("b", weights=1)), "1", run="run-2", targets=f"registry,{uri}")
    name = next(name for name in objects(uri) if name.startswith("versions/2-") and name.endswith(changed))
    overwrite(uri, name, b"{}")
    with pytest.raises(DeploymentError, match=r"(the checksum does not match current.json|does not match the checksum in the manifest)"):
        pull(uri, "rain", edge)
    assert (edge / "current").resolve() == before
    assert not list((edge / "versions").glob("2-*")) + list((edge / "versions").glob(".*"))
    with pytest.raises(DeploymentError, match="already exists with different content: a published version was changed"):
        target(published, uri).stage("2")


def test_a_manifest_is_signed_where_a_key_is_configured(world: World, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "the key")
    world.promote(world.passed(world.challenger("a")), targets=uri)
    assert pull(uri, "rain", world.folder / "edge").signed
    monkeypatch.setenv(KEY_VARIABLE, "another key")
    with pytest.raises(DeploymentError, match=f"not signed with the key in {KEY_VARIABLE}. Nothing was downloaded"):
        pull(uri, "rain", world.folder / "other")
    assert not (world.folder / "other" / "current").exists()


@pytest.mark.parametrize(
    "content", [b"?", b"[]", b'{"model_name": "rain"}', b'{"model_name": "r", "version": "1", "folder": "../../etc", "manifest_sha256": "0"}']
)
def test_a_damaged_pointer_is_named(published: World, uri: str, content: bytes) -> None:
    overwrite(uri, "current.json", content)
    with pytest.raises(DeploymentError, match=r"current.json: not a pointer to a published model"):
        pull(uri, "rain", published.folder / "edge")
    assert not (published.folder / "edge").exists()


def test_nothing_published_and_no_bucket_are_told_apart(world: World, uri: str) -> None:
    with pytest.raises(DeploymentError, match=rf"{uri}: no version of model 'rain' is published there"):
        pull(uri, "rain", world.folder / "edge")
    with pytest.raises(StateError, match="published models 'gs://absent/x': bucket 'absent' does not exist"):
        pull("gs://absent/x", "rain", world.folder / "edge")
    with pytest.raises(StateError, match="target 'gs://absent/x': bucket 'absent' does not exist"):
        world.promote(world.passed(world.challenger("a")), targets="gs://absent/x")
    assert (world.alias(), world.ledger.records()) == (None, [])


def test_a_pointer_cannot_be_split(published: World, uri: str) -> None:
    mine = target(published, uri)
    with pytest.raises(DeploymentError, match=r"traffic share 0.5 of version 1: a pointer refers to a single version. Use 0 or 1"):
        mine.set_traffic("1", 0.5)
    mine.set_traffic("1", 0.0)
    assert mine.observe() == {"1": 1.0}


def test_the_command_says_what_it_did(published: World, uri: str) -> None:
    edge = published.folder / "edge"
    said = CliRunner().invoke(app, ["pull", uri, "rain", str(edge)], catch_exceptions=False)
    assert said.exit_code == 0
    assert said.stdout.replace("\n", " ").startswith(f"{edge}/current now points to version 1 of model 'rain':")
    assert "already points to" in CliRunner().invoke(app, ["pull", uri, "rain", str(edge)]).stdout


@pytest.mark.parametrize("names", ["gs://", "gs:///", "s3://bucket/x", "registry,moon"])
def test_a_word_that_names_no_target_is_refused(names: str) -> None:
    with pytest.raises(DeploymentError, match=r"Valid targets: registry, gs://bucket/prefix"):
        target_names(names)


def test_a_retired_version_leaves_the_bucket_and_the_served_one_does_not(published: World, uri: str) -> None:
    published.promote(published.passed(published.challenger("b", weights=1)), "1", run="run-2", targets=f"registry,{uri}")
    mine = target(published, uri)
    mine.prune("1")
    mine.prune("1")
    assert {name.split("-")[0] for name in objects(uri)} == {"current.json", "versions/2"}
    before = objects(uri)
    with pytest.raises(DeploymentError, match="version 2 is being served and cannot be removed"):
        mine.prune("2")
    assert objects(uri) == before
    mine.finish("1")
    assert pull(uri, "rain", published.folder / "edge").version == "1"
