"""From a version back to its data, run and code, and from data forward to versions."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from evergreen.cli.main import app
from evergreen.data.artifacts import DataManifest, describe_dataset
from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.registry.errors import RegistryError
from evergreen.registry.lineage import lineage_of_version
from evergreen.registry.lineage_graph import lineage_svg
from evergreen.registry.versions import ModelRegistry

if TYPE_CHECKING:
    from support.registry_fixtures import World


@pytest.fixture
def history(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Version 1 is the champion, 2 was rolled back, 3 waits; all learned from the same rows."""
    monkeypatch.setenv("EVERGREEN_IMAGE", "registry.example/evergreen-base@sha256:00")
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2")
    roll_back(RollbackRequest("rain", "it crashes", run_id="back"), tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri)
    world.promote(world.passed(world.challenger("c")), "1", run="run-3", approval="required")
    return world


def said(world: World, *words: str) -> Result:
    places = ["--tracking-uri", world.tracking_uri, "--ledger-uri", world.ledger_uri]
    return CliRunner().invoke(app, ["lineage", *words, *places], env={"COLUMNS": "160"})


def test_a_version_leads_back_to_its_data_run_and_code(history: World) -> None:
    found = lineage_of_version(ModelRegistry(history.tracking_uri, "rain"), history.ledger, None)
    assert (found.version, found.status, found.semantic_version, found.promoted_instead_of) == ("1", "champion", "1.0.0", "none")
    assert (found.data_source_uri, found.data_fingerprint, found.fit_start, found.fit_end) == (
        "rows.parquet",
        "f-1",
        "2020-01-01T00:00:00Z",
        "2020-02-20T00:00:00Z",
    )
    assert found.training_run == history.client.get_model_version("rain", "1").run_id
    assert (found.pipeline_run, found.challenger_id, found.estimator) == ("run-1", "id-a", "sklearn.linear_model.LogisticRegression")
    assert found.promoted_at == history.ledger.records()[0].time
    assert found.image == history.ledger.records()[0].image == "registry.example/evergreen-base@sha256:00"
    assert found.evergreen_version == history.ledger.records()[0].evergreen_version


def test_every_version_has_its_status(history: World) -> None:
    answers = json.loads(said(history, "--dataset", "f-1", "--json").stdout)
    assert [(answer["version"], answer["status"]) for answer in answers] == [("1", "champion"), ("2", "rolled back"), ("3", "waits for approval")]


def test_a_dataset_leads_to_the_versions_of_all_models(history: World) -> None:
    other = history.at(history.tracking_uri, model_name="snow")
    other.promote(other.passed(other.challenger("d", weights=1)))
    for dataset in ("f-1", "rows.parquet"):  # a fingerprint, a source
        answers = json.loads(said(history, "--dataset", dataset, "--json").stdout)
        assert [(answer["model_name"], answer["version"]) for answer in answers] == [("rain", "1"), ("rain", "2"), ("rain", "3"), ("snow", "1")]
    assert len(json.loads(said(history, "snow", "--dataset", "f-1", "--json").stdout)) == 1
    nothing = said(history, "--dataset", "f-9")
    assert (nothing.exit_code, nothing.stdout.startswith("No version was trained on f-9")) == (1, True)


def test_a_local_file_is_found_by_its_relative_path(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = world.challenger("a")
    window = {"start": "2020-01-01T00:00:00Z", "end": "2020-02-20T00:00:00Z"}
    describe_dataset(inputs["training_data"], DataManifest(str(world.folder / "day.csv"), [], window, 200, {}, "f-1", "2020-02-20T00:00:00Z"))
    world.promote(world.passed(inputs))
    monkeypatch.chdir(world.folder)
    assert [answer["version"] for answer in json.loads(said(world, "--dataset", "day.csv", "--json").stdout)] == ["1"]


def test_the_table_names_everything(history: World) -> None:
    text = said(history, "rain", "--version", "2").stdout
    for words in ("rain, version 2: rolled back", "rows.parquet", "f-1", "run-2", "id-b", "1.0.1", "replacing 1", "Evergreen 0."):
        assert words in text


def test_the_graph_is_drawn_once_for_each_dataset_run_and_version(history: World) -> None:
    file = history.folder / "lineage.svg"
    assert said(history, "--dataset", "f-1", "--svg", str(file)).exit_code == 0
    drawn = ET.parse(file).getroot()
    space = "{http://www.w3.org/2000/svg}"
    texts = ["".join(text.itertext()) for text in drawn.iter(f"{space}text")]
    assert texts.count("rows.parquet") == 1
    assert [text for text in texts if text.startswith("rain, version")] == ["rain, version 1 (1.0.0)", "rain, version 2 (1.0.1)", "rain, version 3"]
    assert len(list(drawn.iter(f"{space}path"))) == 6
    assert len([box for box in drawn.iter(f"{space}rect") if box.get("class") == "champion"]) == 1
    assert lineage_svg([]).count("<rect") == 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["rain", "--version", "9"], r"Model 'rain' has no version 9 at .*\. Existing versions: 1, 2, 3. Choose one with --version"),
        (["snow"], r"Model 'snow' has no champion at .*\. Existing versions: none"),
        ([], "neither a model nor --dataset is given"),
        (["rain", "--version", "1", "--dataset", "f-1"], "--version 1 and --dataset f-1 are both given"),
    ],
)
def test_what_is_not_there_is_named(history: World, words: list[str], told: str) -> None:
    with pytest.raises(RegistryError, match=told):
        CliRunner().invoke(app, ["lineage", *words, "--tracking-uri", history.tracking_uri, "--ledger-uri", history.ledger_uri], catch_exceptions=False)
