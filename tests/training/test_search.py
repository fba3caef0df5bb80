from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl
from mlflow import MlflowClient

from evergreen.errors import MissingExtraError
from evergreen.models.files import read_description
from evergreen.training.errors import TrainingError
from evergreen.training.search import running as search_module
from evergreen.training.search.candidates import trials_of
from evergreen.training.search.settings import SearchSettings

if TYPE_CHECKING:
    from collections.abc import Callable

LOGISTIC = "sklearn.linear_model.LogisticRegression"
TREE = "sklearn.tree.DecisionTreeClassifier"
DEPTHS = list(range(1, 13))


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capfd.readouterr().err.splitlines() if line.startswith("search: candidate ")]


def test_the_search_keeps_its_budget_and_shows_its_progress(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], capfd: pytest.CaptureFixture[str]
) -> None:
    run_training(make_events(days=60), estimator=TREE, search=json.dumps({"n_iter": 12, "space": {"max_depth": DEPTHS}, "seconds": 0.0001}))
    assert len(lines(capfd)) == 1
    run_training(make_events(days=60), estimator=TREE, search=json.dumps({"n_iter": 12, "space": {"max_depth": DEPTHS}, "patience": 2}))
    tried = lines(capfd)
    assert 3 <= len(tried) < 12
    assert tried[0].startswith("search: candidate 1 of at most 12: max_depth = ")
    run_training(make_events(days=60), estimator=TREE, search=json.dumps({"n_iter": 3, "space": {"max_depth": DEPTHS}, "splits": "stratified"}))
    assert len(lines(capfd)) == 3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"seconds": 0}, "seconds is 0: Input should be greater than 0"),
        ({"patience": 1.5}, r"patience is 1\.5: Input should be a valid integer"),
        ({"splits": "random"}, "splits is 'random': Input should be 'time', 'stratified' or 'group'"),
        ({"trials": 3}, "Unknown setting 'trials'. Valid settings: n_iter, space, method"),
        ({"splits": "group"}, "splits: group and group_column must be used together"),
        ({"method": "halving", "patience": 3}, "method halving does not support patience"),
        ({"space": {"C": {"low": 3, "high": 1}}}, r"low 3\.0 must be below high 1\.0"),
        ({"space": {"C": {"low": 0, "high": 1, "log": True}}}, r"low 0\.0 must be above 0"),
        (
            {"splits": "group", "group_column": "station"},
            "Unknown column 'station' in training_search group_column. Columns of the training data: time, temperature",
        ),
        ({"splits": "group", "group_column": "city", "folds": 5}, "no candidate could be fitted on 5 folds .* number of splits"),
    ],
)
def test_a_wrong_search_is_named(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], entry: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run_training(make_events(days=40), estimator=LOGISTIC, search=json.dumps({"n_iter": 1, "space": {"C": [1]}, **entry}))
    assert not (tmp_path / "m-model").exists()


def test_ranges_are_drawn_within_their_bounds() -> None:
    space = {"rate": {"low": 0.001, "high": 1.0, "log": True}, "depth": {"low": 2, "high": 9, "whole": True}, "kind": ["a", "b"]}
    settings = SearchSettings(n_iter=200, space=space)
    drawn = [trial.hyperparameters for trial in trials_of(settings, settings.space, seed=3)]
    assert len(drawn) == 200
    assert all(0.001 <= values["rate"] <= 1.0 and values["depth"] in range(2, 10) and values["kind"] in ("a", "b") for values in drawn)
    assert 0.35 < np.mean([values["rate"] < 0.0316 for values in drawn]) < 0.65, "with log, half of the draws lie below the middle order of magnitude"
    assert drawn == [trial.hyperparameters for trial in trials_of(settings, settings.space, seed=3)]


def test_halving_gives_more_rows_to_the_better_third() -> None:
    settings = SearchSettings(n_iter=9, space={"depth": DEPTHS}, method="halving")
    trials = trials_of(settings, settings.space, seed=0)
    seen = []
    trial = next(trials)
    while True:
        seen.append(trial)
        try:
            trial = trials.send(float(trial.hyperparameters["depth"]))
        except StopIteration:
            break
    assert [round(trial.share, 3) for trial in seen] == [0.111] * 9 + [0.333] * 3 + [1.0]
    assert seen[-1].hyperparameters["depth"] == max(trial.hyperparameters["depth"] for trial in seen)


def xor_events(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    frame = make_events(days=100)
    frame["rain"] = ((frame["temperature"] > 0) ^ (frame["pressure"] > 0)).astype(int)
    return frame


@pytest.mark.parametrize("method", ["random", "halving", "optuna"])
def test_every_method_finds_the_better_value(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], method: str, capfd: pytest.CaptureFixture[str]
) -> None:
    search = {"n_iter": 9, "space": {"max_depth": {"low": 1, "high": 8, "whole": True}, "criterion": ["gini", "entropy"]}, "method": method}
    _, artifacts = run_training(xor_events(make_events), estimator=TREE, search=json.dumps(search))
    found = read_description(artifacts["model"].path).hyperparameters
    assert set(found) == {"max_depth", "criterion"}
    assert found["max_depth"] > 1
    tried = lines(capfd)
    assert len(tried) == (13 if method == "halving" else 9)
    assert method != "halving" or "on 11% of the rows" in tried[0]


def test_optuna_is_an_extra(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError, match=r"method 'optuna' needs an optional dependency.*kfp-evergreen\[optuna\]"):
        run_training(make_events(days=40), estimator=TREE, search='{"n_iter": 2, "space": {"max_depth": [1, 2]}, "method": "optuna"}')


def test_rows_of_a_group_stay_together(run_training: Callable[..., Any], capfd: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    station = random.integers(0, 40, 2000)
    # The label belongs to the station, and its number says nothing about that of another: a deep tree learns it by heart.
    frame = pd.DataFrame(
        {
            "time": pd.date_range("2020-01-01", periods=2000, freq="h", tz="UTC"),
            "station": station,
            "height": station + random.normal(0, 0.01, 2000),
            "rain": random.integers(0, 2, 40)[station],
        }
    )
    scores = {}
    for splits in ({"splits": "stratified"}, {"splits": "group", "group_column": "station"}):
        run_training(frame, name=splits["splits"], estimator=TREE, search=json.dumps({"n_iter": 1, "space": {"max_depth": [20]}, **splits}))
        scores[splits["splits"]] = float(lines(capfd)[0].rpartition(" ")[2])
    assert scores["stratified"] > 0.95
    assert scores["group"] < 0.8


def test_a_killed_search_goes_on_where_it_stood(  # noqa: PLR0917 - pytest passes fixtures by name
    run_training: Callable[..., Any],
    make_events: Callable[..., pd.DataFrame],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tracking_uri: str,
    tmp_path: Path,
) -> None:
    score, scored = search_module._Search._score, []

    def killed_at_the_fourth(self: Any, trial: Any) -> tuple[float, str]:
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(trial)
        return score(self, trial)

    search = json.dumps({"n_iter": 6, "space": {"max_depth": DEPTHS}, "method": "optuna"})
    with monkeypatch.context() as patched:
        patched.setattr(search_module._Search, "_score", killed_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            run_training(xor_events(make_events), estimator=TREE, search=search)
    before = lines(capfd)
    _, artifacts = run_training(xor_events(make_events), estimator=TREE, search=search)
    after = lines(capfd)
    assert [line.removesuffix(", known from an earlier attempt") for line in after[:3]] == before
    assert [line.endswith("known from an earlier attempt") for line in after] == [True] * 3 + [False] * 3
    assert read_description(artifacts["model"].path).hyperparameters["max_depth"] > 1
    client = MlflowClient(tracking_uri=tracking_uri)
    runs = client.search_runs([client.get_experiment_by_name(f"evergreen/{tmp_path.name}").experiment_id])
    searches = [run for run in runs if run.info.run_name.startswith("search-")]
    assert [run.info.status for run in searches] == ["FINISHED"]
    assert len([name for name in searches[0].data.metrics if name.startswith("search.")]) >= 1


def test_a_search_whose_process_is_killed_ends_as_one_that_was_left_alone(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], capfd: pytest.CaptureFixture[str], *, tracking_uri: str, tmp_path: Path
) -> None:
    frame = xor_events(make_events)
    space = {"n_estimators": list(range(20, 140, 10)), "max_depth": [1, 4]}
    forest = {"estimator": "sklearn.ensemble.RandomForestClassifier", "search": json.dumps({"n_iter": 8, "space": space})}
    columns = {"target_column": "rain", "timestamp_column": "time", "model_name": tmp_path.name, "tracking_uri": tracking_uri}
    frame.to_parquet(tmp_path / "m.parquet", index=False)
    settings = json.dumps({"folder": str(tmp_path), **columns, **forest})
    program = [sys.executable, str(Path(__file__).with_name("killed_search.py")), settings]
    with subprocess.Popen(program, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        seen = []
        for line in process.stderr:
            seen += [line.strip()] if line.startswith("search: candidate ") else []
            if len(seen) == 3:
                process.kill()
                break
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed-model").exists()
    capfd.readouterr()
    _, artifacts = run_training(frame, **forest)
    after = lines(capfd)
    known = [line.endswith(", known from an earlier attempt") for line in after]
    # The killed process may have scored another one before the signal came.
    assert 3 <= sum(known) < 8
    assert known == sorted(known, reverse=True)
    assert [line.removesuffix(", known from an earlier attempt") for line in after[:3]] == seen
    _, alone = run_training(frame, name="alone", model_name=f"{tmp_path.name}-alone", **forest)
    assert [line.removesuffix(", known from an earlier attempt") for line in after] == lines(capfd)
    found, expected = (read_description(made["model"].path) for made in (artifacts, alone))
    assert found.hyperparameters == expected.hyperparameters
    assert found.challenger_id == expected.challenger_id


def test_the_champions_hyperparameters_come_first(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], capfd: pytest.CaptureFixture[str]
) -> None:
    _, artifacts = run_training(make_events(days=60), name="champion", estimator=TREE, hyperparameters='{"max_depth": 11}')
    champion = dsl.Model(name="champion", uri=artifacts["model"].path, metadata=artifacts["model"].metadata)
    search = json.dumps({"n_iter": 2, "space": {"max_depth": [1, 2, 3]}, "warm_start": True})
    run_training(make_events(days=60), estimator=TREE, search=search, champion=champion)
    tried = lines(capfd)
    assert len(tried) == 3
    assert "max_depth = 11" in tried[0]
    run_training(make_events(days=60), name="other", estimator=LOGISTIC, search='{"n_iter": 1, "space": {"C": [1]}, "warm_start": true}', champion=champion)
    assert len(lines(capfd)) == 1, "another estimator's hyperparameters are no start"
