"""A search that is divided among parallel steps finds what the search in one step finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen import choose_candidate, plan_search, score_candidates
from evergreen.data.artifacts import read_frame
from evergreen.models.files import read_description
from evergreen.training.errors import TrainingError
from evergreen.training.search import running as search_module
from support.local_runs import run_file

if TYPE_CHECKING:
    from collections.abc import Callable

TREE = "sklearn.tree.DecisionTreeClassifier"
SPACE = {
    "max_depth": {"low": 1, "high": 9, "whole": True},
    "min_impurity_decrease": {"low": 0.0001, "high": 0.1, "log": True},
    "criterion": ["gini", "entropy"],
}
SEARCH = {"n_iter": 7, "space": SPACE}
COLUMNS = {"target_column": "rain", "timestamp_column": "time"}


class Steps:
    """The steps of a divided search, called one after another in a folder."""

    def __init__(self, folder: Path, frame: pd.DataFrame) -> None:
        self.folder = folder
        frame.to_parquet(folder / "rows.parquet", index=False)
        self.data = dsl.Dataset(name="d", uri=str(folder / "rows.parquet"), metadata={})
        self.plan = self.artifact("plan")
        self.trials = self.artifact("trials")

    def artifact(self, name: str) -> dsl.Artifact:
        return dsl.Artifact(name=name, uri=str(self.folder / name), metadata={})

    def planned(self, search: Any, *, shards: int = 3, **given: Any) -> list[int]:
        settings = {"estimator": TREE, "shards": shards, "search": search if isinstance(search, str) else json.dumps(search), **COLUMNS, **given}
        numbers: list[int] = plan_search.python_func(training_data=self.data, plan=self.plan, **settings)
        return numbers

    def scored(self, shard: int, **given: Any) -> dsl.Artifact:
        scores = self.artifact(f"scores-{shard}")
        score_candidates.python_func(training_data=self.data, plan=self.plan, candidate_scores=scores, shard=shard, **given)
        return scores

    def chosen(self, scores: list[dsl.Artifact]) -> Any:
        return json.loads(choose_candidate.python_func(plan=self.plan, candidate_scores=scores, trials=self.trials))

    def listed(self) -> list[dict[str, Any]]:
        trials: list[dict[str, Any]] = json.loads(Path(self.trials.path).read_text(encoding="utf-8"))["trials"]
        return trials


@pytest.fixture
def steps(tmp_path: Path, make_events: Callable[..., pd.DataFrame]) -> Steps:
    return Steps(tmp_path, make_events(days=80))


@pytest.fixture
def scored_in_one_step(monkeypatch: pytest.MonkeyPatch) -> list[tuple[dict[str, Any], float]]:
    """What searches score from now on, in order."""
    seen: list[tuple[dict[str, Any], float]] = []
    score = search_module._Search._score

    def seen_score(self: Any, trial: Any) -> tuple[float, str]:
        answer = score(self, trial)
        seen.append((trial.hyperparameters, answer[0]))
        return answer

    monkeypatch.setattr(search_module._Search, "_score", seen_score)
    return seen


@pytest.mark.parametrize(
    "settings",
    [
        {"search": SEARCH, "hyperparameters": '{"min_samples_leaf": 2}'},
        # All values: the whole grid; equal scores abound, and the first of them counts.
        {"search": {"n_iter": 50, "space": {"max_depth": [1.0, 2, 3], "splitter": ["best", "best"]}, "splits": "stratified"}, "seed": 3},
        {"search": {"n_iter": 3, "space": {"class_weight": [None, "balanced", {"0": 1, "1": 9}]}, "splits": "stratified"}},
        {"search": {**SEARCH, "n_iter": 4}, "policy_config": "training: {recency_half_life_days: 20, sample_rows: 200}", "holdout_share": 0.3},
        {"search": {"n_iter": 5, "space": {"max_iter": [5, 10], "learning_rate": {"low": 0.01, "high": 1, "log": True}}}, "estimator": "auto"},
    ],
)
def test_any_number_of_shards_finds_what_one_step_finds(
    steps: Steps, run_training: Callable[..., Any], scored_in_one_step: list[tuple[dict[str, Any], float]], settings: dict[str, Any]
) -> None:
    given = {"estimator": TREE, **settings}
    _, artifacts = run_training(pd.read_parquet(steps.data.path), **{**given, "search": json.dumps(given["search"])})
    expected = list(scored_in_one_step)
    found = read_description(artifacts["model"].path).hyperparameters
    for shards in (1, 3, 5):
        numbers = steps.planned(shards=shards, **given)
        assert numbers == list(range(min(shards, len(expected))))
        # Whatever the order in which the shards end.
        assert steps.chosen([steps.scored(shard) for shard in reversed(numbers)]) == found
        listed = steps.listed()
        assert [trial["hyperparameters"] for trial in listed] == [hyperparameters for hyperparameters, _ in expected]
        assert np.allclose([trial["score"] for trial in listed], [score for _, score in expected], rtol=0, atol=1e-9)
        assert {trial["state"] for trial in listed} == {"complete"}
        assert [trial["shard"] for trial in listed] == [number % len(numbers) for number in range(len(listed))]


def test_the_champions_hyperparameters_are_the_first_candidate(steps: Steps, run_training: Callable[..., Any]) -> None:
    frame = pd.read_parquet(steps.data.path)
    _, artifacts = run_training(frame, name="champion", estimator=TREE, hyperparameters='{"max_depth": 11}')
    search = {"n_iter": 2, "space": {"max_depth": [1, 2, 3]}, "warm_start": True}
    steps.planned(search, champion=artifacts["model"])
    assert json.loads(Path(steps.plan.path).read_text(encoding="utf-8"))["candidates"][0] == {"max_depth": 11}
    _, trained = run_training(frame, estimator=TREE, search=json.dumps(search), champion=artifacts["model"])
    assert steps.chosen([steps.scored(shard) for shard in range(3)]) == read_description(trained["model"].path).hyperparameters


def test_each_shard_keeps_the_seconds(steps: Steps) -> None:
    numbers = steps.planned({**SEARCH, "seconds": 0.0001})
    steps.chosen([steps.scored(shard) for shard in numbers])
    assert [trial["state"] for trial in steps.listed()] == ["complete"] * 3 + ["not tried"] * 4


def test_a_shard_that_was_killed_goes_on_where_it_stood(steps: Steps, tracking_uri: str, capfd: pytest.CaptureFixture[str]) -> None:
    steps.planned(SEARCH)
    place = {"tracking_uri": tracking_uri, "model_name": steps.folder.name}
    before = Path(steps.scored(1, **place).path).read_bytes()
    assert "known from" not in capfd.readouterr().err
    assert Path(steps.scored(1, **place).path).read_bytes() == before
    assert capfd.readouterr().err.count("known from an earlier attempt") == 2
    steps.scored(2, **place)
    assert "known from" not in capfd.readouterr().err, "shards do not mix"


@pytest.mark.parametrize(
    ("search", "given", "message"),
    [
        ({"n_iter": 2, "space": {"depth": [1, 2]}}, {}, r"Unknown hyperparameter 'depth' of sklearn\.tree\.DecisionTreeClassifier. Valid hyperparameters:"),
        (
            {**SEARCH, "method": "halving"},
            {},
            "method 'halving' cannot be divided among parallel steps.* Use method random, or pass the search to tr",
        ),
        ({**SEARCH, "method": "optuna"}, {}, "method 'optuna' cannot be divided among parallel steps"),
        ({**SEARCH, "patience": 2}, {}, "patience 2 counts consecutive candidates.* Omit it"),
        ("none", {}, "training_search none: there is nothing to divide among parallel steps. Use a search such as"),
        ("{n_iter: 2, space: {min_impurity_decrease: [.inf]}}", {}, r"the candidate .*would reach a parallel step as .* JSON cannot represent its values"),
        (SEARCH, {"shards": 0}, "shards 0: expected 1 to 500"),
        (SEARCH, {"shards": 501}, "shards 501: expected 1 to 500"),
        (SEARCH, {"estimator": "my_package:train"}, r"a custom trainer \(my_package:train\) must do its own search"),
        (SEARCH, {"holdout_share": 0.99}, "leave .* to fit on before the holdout"),
    ],
)
def test_a_search_that_cannot_be_divided_is_named(steps: Steps, search: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        steps.planned(search, **given)
    assert not Path(steps.plan.path).exists()


def test_shards_that_do_not_belong_together_are_refused(steps: Steps, make_events: Callable[..., pd.DataFrame]) -> None:
    steps.planned(SEARCH)
    for shard in (-1, 3):
        with pytest.raises(TrainingError, match=f"shard {shard}: expected 0 to 2, because the plan has 3 shards"):
            steps.scored(shard)
        assert not Path(steps.artifact(f"scores-{shard}").path).exists()
    scores = [steps.scored(shard) for shard in range(2)]
    with pytest.raises(TrainingError, match=r"found shards \[0, 1\]; expected each of 0 to 2 once"):
        steps.chosen(scores)
    with pytest.raises(TrainingError, match=r"found shards \[0, 0, 1\]"):
        steps.chosen([*scores, scores[0]])
    steps.planned(SEARCH, seed=8)
    with pytest.raises(TrainingError, match="candidate scores belong to another plan"):
        steps.chosen(scores)
    make_events(days=80, seed=1).to_parquet(steps.data.path, index=False)
    with pytest.raises(TrainingError, match=r"plan was not made from the training data .*rows\.parquet"):
        steps.scored(2)
    steps.plan.uri = scores[0].uri
    with pytest.raises(TrainingError, match=r"scores-0 is not the plan of a search. Pass the output plan of plan_search"):
        steps.scored(2)
    assert not Path(steps.artifact("scores-2").path).exists()
    assert not Path(steps.trials.path).exists()


def test_candidates_that_cannot_be_fitted_are_listed(steps: Steps) -> None:
    numbers = steps.planned({"n_iter": 2, "space": {"max_depth": [-1, 2]}})
    assert steps.chosen([steps.scored(shard) for shard in numbers]) == {"max_depth": 2}
    failed = next(trial for trial in steps.listed() if trial["state"] == "failed")
    assert (failed["hyperparameters"], failed["score"]) == ({"max_depth": -1}, None)
    assert "max_depth" in failed["error"]
    Path(steps.trials.path).unlink()
    numbers = steps.planned({"n_iter": 2, "space": {"max_depth": [-1, -2]}})
    scores = [steps.scored(shard) for shard in numbers]
    with pytest.raises(TrainingError, match=r"no candidate could be fitted on 3 folds of 256 rows: .*max_depth.* Correct the space"):
        steps.chosen(scores)
    assert not Path(steps.trials.path).exists()


@pytest.mark.timeout(300)
def test_the_pipeline_fans_out_and_trains_with_the_best(
    repository: Path, steps: Steps, run_training: Callable[..., Any], scored_in_one_step: list[tuple[dict[str, Any], float]]
) -> None:
    search = json.dumps({"n_iter": 4, "space": {"max_depth": [1, 2, 4, 8]}})
    given = {
        "data_source_uri": steps.data.path,
        "data_timestamp_column": "time",
        "data_target_column": "rain",
        "model_name": "rain",
        "training_search": search,
        "training_estimator": TREE,
        "shards": 2,
    }
    home = steps.folder / "home"
    finished = run_file(repository / "pipelines" / "hyperparameter_search.py", given, home)
    assert not finished.failure, finished.log_file.read_text()[-3000:]
    details = {record.step_name: record.details for record in finished.records}
    assert next(record.outcome for record in finished.records if record.step_name == "record_run") == "searched"
    (ingested,) = (home / "artifacts").rglob("dataset")
    _, artifacts = run_training(read_frame(ingested), estimator=TREE, search=search)
    found = read_description(artifacts["model"].path).hyperparameters
    assert details["choose_candidate"]["hyperparameters"] == found
    assert details["train_challenger"]["hyperparameters"] == found
    trials = details["choose_candidate"]["trials"]
    assert [(trial["hyperparameters"], pytest.approx(trial["score"], abs=1e-9)) for trial in trials] == scored_in_one_step
    assert [trial["shard"] for trial in trials] == [0, 1, 0, 1]
