"""What a repair leaves in the registry: a short training window, a former champion, the constant baseline, or the champion as it was."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from deployment.repairs import POLICY, Workshop
from evergreen.data.artifacts import read_json
from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.models.files import load_model
from evergreen.registry.champion import BASELINE_FILE, CARD_FILE, REFERENCE_FILE
from evergreen.registry.versions import ModelRegistry
from evergreen.training.choice.former import read_former_champions
from evergreen.training.errors import TrainingError
from evergreen.training.reproduction import reproduce
from support.registry_fixtures import World
from support.turning_streams import LOGISTIC, TURN, stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TURNED = pd.Timestamp(TURN, tz="UTC")
BACK = TURNED + pd.Timedelta(days=60)
"""From then on, the first relation holds again."""


def history(*, until: pd.Timestamp, back: bool = True) -> pd.DataFrame:
    """Return rows up to a time, in which the relation turns round and later turns back."""
    frame = stream(days=(until - pd.Timestamp("2020-01-01", tz="UTC")).days)
    again = (frame["time"] >= BACK) & back
    frame.loc[again, "rain"] = 1 - frame.loc[again, "rain"]
    return frame


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, empty_database: Path, material: Any) -> Workshop:
    """A registry after three runs: the first champion, the repair after the turn, and the former champion after the relation turned back."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID"):
            patch.delenv(name, raising=False)
        folder = tmp_path_factory.mktemp("repairs")
        shutil.copy(empty_database, folder / "mlflow.db")
        workshop = Workshop(World(folder, f"sqlite:///{folder}/mlflow.db", material))
        workshop.run(history(until=pd.Timestamp("2020-09-01", tz="UTC")), "first")
        workshop.run(history(until=TURNED + pd.Timedelta(days=50)), "repair", decision=workshop.decision(TURN))
        # The data no longer reach back to the rows of the first champion; few rows have come since the relation is back.
        recent = history(until=BACK + pd.Timedelta(days=14))
        recent = recent[recent["time"] >= pd.Timestamp("2020-09-10", tz="UTC")].reset_index(drop=True)
        workshop.run(recent, "return", decision=workshop.decision(BACK.isoformat()))
    return workshop


@pytest.fixture
def copy(filled: Workshop, tmp_path: Path) -> Workshop:
    """The filled registry, to change it. Models stay where they were logged."""
    shutil.copytree(filled.world.folder, tmp_path / "copy")
    return Workshop(replace(filled.world, folder=tmp_path / "copy", tracking_uri=f"sqlite:///{tmp_path}/copy/mlflow.db"))


def test_after_a_turn_the_registered_version_learned_from_the_rows_since(filled: Workshop, tmp_path: Path) -> None:
    _, repair, _ = filled.runs
    choice = repair.trained.choice
    assert choice is not None
    assert repair.deployment is not None
    assert (repair.deployment.outcome, repair.deployment.version, repair.deployment.champion_before) == ("promoted", "2", "1")
    tags = filled.world.tags("2")
    assert tags["evergreen.fit_start"] == choice.chosen.start
    assert pd.Timestamp(choice.chosen.start) >= TURNED - pd.Timedelta(days=3)
    # Fitted again, it learned the rows of the holdout, too.
    assert repair.model is not None
    frame = pd.read_parquet(filled.world.folder / "repair.parquet")
    learned = frame[frame["time"] >= pd.Timestamp(choice.chosen.start)]
    assert repair.model.description.rows == len(learned) > repair.trained.description.rows
    assert pd.Timestamp(repair.model.description.fit_end) > repair.holdout["time"].max()
    assert repair.trained.numbers["holdout_rows"] == (repair.holdout["time"] >= pd.Timestamp(repair.trained.description.fit_end)).sum() > 0
    assert repair.refit is not None
    assert repair.refit.numbers["holdout_rows"] == 0
    evidence = filled.evidence("2", tmp_path / "version")
    reference = pd.read_parquet(evidence / REFERENCE_FILE)
    assert reference["time"].tolist() == learned["time"].tolist()
    baseline = read_json(evidence / BASELINE_FILE)
    assert baseline["score"] == pytest.approx(repair.evaluation.challenger_score)
    assert baseline["naive_score"] == 0.5
    assert baseline["fit_start"] == choice.chosen.start
    record = filled.world.ledger.records()[1]
    assert (record.kind, record.evidence["origin"], record.evidence["former_version"]) == ("promotion", "trained", "")


def test_the_gate_pools_what_was_predicted_in_advance(filled: Workshop) -> None:
    _, repair, _ = filled.runs
    assert repair.evaluation.folds == 2
    before = (repair.holdout["time"] < pd.Timestamp(repair.trained.description.fit_end)).sum()
    assert 0 < before < len(repair.holdout) == repair.evaluation.rows
    assert repair.evaluation.champion_score is not None
    assert repair.evaluation.champion_score < 0.3
    assert repair.evaluation.difference_lower is not None
    assert repair.evaluation.difference_lower > 0.3


def test_a_former_champion_becomes_a_new_version_with_the_same_predictions(filled: Workshop, tmp_path: Path) -> None:
    first, _, again = filled.runs
    choice = again.trained.choice
    assert choice is not None
    assert (choice.chosen.origin, choice.chosen.name) == ("former champion", "version 1")
    assert again.deployment is not None
    assert (again.deployment.outcome, again.deployment.version, again.deployment.champion_before) == ("promoted", "3", "2")
    assert filled.world.versions() == ["1", "2", "3"]
    assert filled.world.alias() == filled.world.ledger.champion() == "3"
    record = filled.world.ledger.records()[-1]
    assert (record.kind, record.version_before, record.version_after) == ("promotion", "2", "3")
    assert (record.evidence["origin"], record.evidence["former_version"]) == ("former champion", "1")
    assert filled.world.ledger.verify() == []
    assert first.model is not None
    assert again.model is not None
    rows = pd.read_parquet(filled.world.folder / "return.parquet")
    assert np.array_equal(np.asarray(first.model.predict_probability(rows)), np.asarray(again.model.predict_probability(rows)))
    described, original = again.model.description, first.model.description
    assert (described.fit_start, described.fit_end, described.rows, described.data_fingerprint, described.training_data_uri) == (
        original.fit_start,
        original.fit_end,
        original.rows,
        original.data_fingerprint,
        original.training_data_uri,
    )
    assert described.challenger_id != original.challenger_id
    evidence = filled.evidence("3", tmp_path / "new")
    assert "former champion, version 1" in (evidence / CARD_FILE).read_text()
    assert {"what": "Origin", "challenger": "former champion, version 1", "champion": "trained"} in again.evaluation.changes
    # Monitoring compares inputs with the rows that this model was fitted on, although the new data no longer hold them.
    was = pd.read_parquet(filled.evidence("1", tmp_path / "old") / REFERENCE_FILE)
    pd.testing.assert_frame_equal(pd.read_parquet(evidence / REFERENCE_FILE), was)
    baseline = read_json(evidence / BASELINE_FILE)
    assert baseline["score"] == pytest.approx(again.evaluation.challenger_score)


def test_a_former_champion_is_not_judged_on_rows_that_it_was_chosen_on(filled: Workshop) -> None:
    _, _, again = filled.runs
    advance = again.holdout["evergreen.forward.prediction"].notna()
    assert 0 < advance.sum() < len(again.holdout)
    assert again.evaluation.folds == 2
    # Its score is that of the predictions made in advance, by whatever was the choice then, and its own ones after them.
    from sklearn.metrics import roc_auc_score

    assert again.model is not None
    own = np.asarray(again.model.predict_probability(again.holdout))[:, 1]
    said = np.where(advance, again.holdout["evergreen.forward.probability.1"], own)
    assert again.evaluation.challenger_score == pytest.approx(roc_auc_score(again.holdout["rain"], said))


@pytest.mark.parametrize("version", ["1", "2", "3"])
def test_every_version_can_be_reproduced(filled: Workshop, version: str) -> None:
    found = reproduce(model_name=filled.world.model_name, version=version, tracking_uri=filled.world.tracking_uri)
    assert (found.same, found.different) == (True, 0)
    assert found.rows_fitted == filled.runs[int(version) - 1].model.description.rows


def test_a_former_champion_is_not_reproduced_from_the_data_of_its_second_promotion(filled: Workshop) -> None:
    with pytest.raises(TrainingError, match="It is a different dataset; pass the right one with --data"):
        reproduce(model_name=filled.world.model_name, version="3", tracking_uri=filled.world.tracking_uri, data=str(filled.world.folder / "return.parquet"))


def former(workshop: Workshop, version: str) -> tuple[list[str], list[str]]:
    world = workshop.world
    model = next(run.model for run in workshop.runs if run.deployment is not None and run.deployment.version == version)
    assert model is not None
    place = {"tracking_uri": world.tracking_uri, "ledger_uri": world.ledger_uri, "model_name": world.model_name}
    found, problems = read_former_champions(**place, champion=model.description)
    return [one.version for one in found], problems


def test_a_model_is_a_former_champion_once(filled: Workshop) -> None:
    # Version 1 is the same model as the champion.
    assert former(filled, "3") == (["2"], [])


def test_a_version_that_was_rolled_back_is_no_former_champion_nor_is_its_model(copy: Workshop, filled: Workshop) -> None:
    copy.runs = filled.runs
    place = {"tracking_uri": copy.world.tracking_uri, "ledger_uri": copy.world.ledger_uri}
    roll_back(RollbackRequest("rain", "It was wrong."), **place)
    assert copy.world.alias() == "2"
    # Version 3 was version 1, promoted again.
    assert former(copy, "2") == ([], [])


def test_a_former_champion_that_was_deleted_is_one_candidate_less(copy: Workshop, filled: Workshop) -> None:
    copy.runs = filled.runs
    copy.world.client.delete_model_version("rain", "2")
    found, problems = former(copy, "3")
    # Version 1 is the champion's model; version 2 is gone.
    assert found == []
    assert len(problems) == 1
    assert problems[0].startswith("version 2: ")


@pytest.mark.parametrize("file", ["evergreen.json", "model.skops"])
@pytest.mark.parametrize("how", ["gone", "damaged"])
def test_a_former_champion_that_cannot_be_loaded_is_one_candidate_less(filled: Workshop, monkeypatch: pytest.MonkeyPatch, file: str, how: str) -> None:
    fetched = ModelRegistry.fetched

    @contextmanager
    def harmed(registry: ModelRegistry, version: str) -> Iterator[Path]:
        with fetched(registry, version) as files:
            for place in files.rglob(file):
                place.unlink() if how == "gone" else place.write_bytes(b"{")
            yield files

    monkeypatch.setattr(ModelRegistry, "fetched", harmed)
    found, problems = former(filled, "3")
    assert found == []
    # Whether version 1 is the champion's model cannot be told either.
    assert [problem.partition(":")[0] for problem in problems] == ["version 2", "version 1"]


def test_the_second_attempt_of_a_killed_step_finds_what_the_first_one_logged(copy: Workshop) -> None:
    # Here, a kill comes after the model was logged.
    data = copy.rows(history(until=BACK + pd.Timedelta(days=40), back=False), "retry")
    one, model, holdout = copy.train(data, "retry", decision=copy.decision(TURN))
    kept = pd.read_parquet(holdout.path)
    (copy.world.folder / "retry-model" / "half-written").write_text("an attempt was killed here")
    other, again, second = copy.train(data, "retry", decision=copy.decision(TURN))
    assert (one.reused, other.reused) == (False, True)
    assert one.description.challenger_id == other.description.challenger_id
    assert model.metadata["model_uri"] == again.metadata["model_uri"]
    assert other.choice == one.choice
    assert other.choice is not None
    assert other.numbers["holdout_rows"] == one.numbers["holdout_rows"] > 0
    assert not (copy.world.folder / "retry-model" / "half-written").exists()
    pd.testing.assert_frame_equal(pd.read_parquet(second.path), kept)


def nothing_to_learn() -> pd.DataFrame:
    """Return rows whose label, from the turn on, is 1 in three of four, whatever the inputs."""
    frame = history(until=TURNED + pd.Timedelta(days=60))
    since = frame["time"] >= TURNED
    frame.loc[since, "rain"] = (np.random.default_rng(3).random(int(since.sum())) < 0.75).astype(int)
    return frame


@pytest.fixture
def first_only(tmp_path: Path, empty_database: Path, material: Any) -> Workshop:
    """A registry in which the first champion alone was promoted."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    workshop = Workshop(World(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", material))
    workshop.run(history(until=pd.Timestamp("2020-09-01", tz="UTC")), "first")
    return workshop


TREE = {"estimator": "sklearn.tree.DecisionTreeClassifier", "metric": "accuracy"}
"""It learns noise by heart, so that the constant baseline is better where there is nothing else."""
ALLOWED = "gate: {serving: {check: false}, allow_baseline: true}"


def test_the_constant_baseline_is_promoted_where_the_policy_allows_it(first_only: Workshop, tmp_path: Path) -> None:
    run = first_only.run(nothing_to_learn(), "baseline", decision=first_only.decision(TURN), policy=ALLOWED, **TREE)
    assert run.trained.choice is not None
    assert run.trained.choice.chosen.origin == "constant baseline"
    assert run.evaluation.champion_score is not None
    assert run.evaluation.champion_score < run.evaluation.naive_score
    assert first_only.world.state() == (["1", "2"], "2", ["promotion", "promotion"])
    record = first_only.world.ledger.records()[-1]
    assert (record.evidence["origin"], record.evidence["former_version"]) == ("constant baseline", "")
    assert run.model is not None
    frame = pd.read_parquet(tmp_path / "baseline.parquet")
    assert set(run.model.predict(frame)) == {1}
    assert run.model.description.estimator == "sklearn.dummy.DummyClassifier"
    assert reproduce(model_name="rain", version="2", tracking_uri=first_only.world.tracking_uri).same
    evidence = first_only.evidence("2", tmp_path / "evidence")
    assert "constant baseline" in (evidence / CARD_FILE).read_text()
    assert pd.read_parquet(evidence / REFERENCE_FILE)["time"].min() == pd.Timestamp(run.model.description.fit_start)


def test_where_the_policy_does_not_allow_it_the_champion_stays(first_only: Workshop) -> None:
    before = first_only.world.state()
    run = first_only.run(nothing_to_learn(), "baseline", decision=first_only.decision(TURN), **TREE)
    assert run.trained.choice is not None
    assert {item.origin for item in run.trained.choice.candidates} == {"trained"}
    assert (run.evaluation.verdict, run.evaluation.conclusion, run.deployment) == ("reject", "below floor", None)
    assert first_only.world.state() == before == (["1"], "1", ["promotion"])


def test_a_challenger_that_is_rejected_leaves_the_champion(first_only: Workshop) -> None:
    before = first_only.world.state()
    proven = "gate: {serving: {check: false}, stale_champion: proven_better}"
    run = first_only.run(nothing_to_learn(), "rejected", decision=first_only.decision(TURN), policy=proven)
    assert run.trained.choice is not None
    assert {item.origin for item in run.trained.choice.candidates} == {"trained"}
    assert (run.evaluation.verdict, run.deployment) == ("reject", None)
    assert first_only.world.state() == before == (["1"], "1", ["promotion"])


def test_a_decision_that_does_not_ask_for_a_choice_trains_as_ever(first_only: Workshop) -> None:
    data = first_only.rows(history(until=TURNED + pd.Timedelta(days=50)), "plain")
    trained, model, holdout = first_only.train(data, "plain", decision=first_only.decision(choose=False))
    rows = pd.read_parquet(holdout.path)
    assert trained.choice is None
    assert list(rows.columns) == ["time", "a", "b", "c", "rain"]
    assert trained.numbers["holdout_rows"] == len(rows) == len(pd.read_parquet(data.path)) - trained.numbers["rows"] == 389
    assert trained.description.fit_start == "2020-01-01T00:00:00Z"
    assert load_model(model.path).description.origin == "trained"


def test_too_few_new_rows_train_as_ever_and_say_so(first_only: Workshop) -> None:
    data = first_only.rows(history(until=pd.Timestamp("2020-09-03", tz="UTC")), "few")
    trained, _, holdout = first_only.train(data, "few", decision=first_only.decision(TURN))
    assert trained.choice is None
    assert any(warning.startswith("Nothing was chosen: too few labelled rows are newer than the champion.") for warning in trained.warnings)
    assert trained.numbers["holdout_rows"] == len(pd.read_parquet(holdout.path))


@pytest.mark.parametrize(
    ("change", "settings", "note"),
    [
        (lambda frame: frame, {"task": "regression", "estimator": "sklearn.linear_model.Ridge"}, "the champion is for classification, and the labels are for"),
        (lambda frame: frame.rename(columns={"rain": "snow"}), {"target_column": "snow"}, "the champion predicts 'rain', and the label is 'snow'"),
    ],
)
def test_a_champion_for_another_thing_is_no_reason_to_fail(first_only: Workshop, change: Any, settings: dict[str, Any], note: str) -> None:
    from kfp import dsl

    from evergreen.training.challenger import train_challenger
    from evergreen.training.request import TrainingRequest

    data = first_only.rows(change(history(until=TURNED + pd.Timedelta(days=50))), "other")
    given = {"target_column": "rain", "estimator": LOGISTIC, **settings}
    request = TrainingRequest(data, timestamp_column="time", champion=first_only.champion(), decision=first_only.decision(TURN), policy_config=POLICY, **given)
    outputs = {
        "model": dsl.Model(name="m", uri=str(first_only.world.folder / "other-model"), metadata={}),
        "holdout_data": dsl.Dataset(name="h", uri=str(first_only.world.folder / "other-holdout"), metadata={}),
    }
    trained = train_challenger(request, **outputs, model_name="rain", tracking_uri=first_only.world.tracking_uri, ledger_uri=first_only.world.ledger_uri)
    assert trained.choice is None
    assert any(warning.startswith("Nothing was chosen: ") and note in warning for warning in trained.warnings)


@pytest.mark.parametrize("content", ["{", '"retrain"', '{"decision": "perhaps"}', '{"decision": "retrain", "choose_rows": "sometimes"}'])
def test_a_broken_decision_is_an_error_that_names_it(first_only: Workshop, content: str) -> None:
    from evergreen.errors import EvergreenError

    data = first_only.rows(history(until=TURNED + pd.Timedelta(days=30)), "broken")
    decision = first_only.decision(TURN)
    (first_only.world.folder / "decision.json").write_text(content)
    with pytest.raises(EvergreenError, match=r"decision"):
        first_only.train(data, "broken", decision=decision)
    assert first_only.world.state() == (["1"], "1", ["promotion"])


def test_a_ledger_that_cannot_be_read_stops_the_step(first_only: Workshop) -> None:
    from evergreen.errors import EvergreenError

    data = first_only.rows(history(until=TURNED + pd.Timedelta(days=30)), "unreadable")
    for record in (first_only.world.folder / "state" / "ledger").rglob("*.json"):
        record.write_text("{")
    # Which versions were rolled back is unknown, so that none may be a candidate; the step's record could not be written either.
    with pytest.raises(EvergreenError, match=r"ledger"):
        first_only.train(data, "unreadable", decision=first_only.decision(TURN))


def test_windows_in_which_no_row_has_a_label_yet_leave_nothing_to_choose_on(first_only: Workshop) -> None:
    frame = history(until=TURNED + pd.Timedelta(days=30))
    frame["rain"] = frame["rain"].astype("float64").mask(frame["time"] >= pd.Timestamp("2020-09-01", tz="UTC"))
    trained, _, _ = first_only.train(first_only.rows(frame, "unlabelled"), "unlabelled", decision=first_only.decision(TURN))
    assert trained.choice is None
    assert trained.unlabelled == 60 * 6
    assert any("Nothing was chosen: too few labelled rows" in warning for warning in trained.warnings)
