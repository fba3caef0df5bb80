from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl
from mlflow import MlflowClient

from evergreen import refit_model
from evergreen.errors import StateError
from evergreen.models.files import load_model
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from evergreen.training.errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOGISTIC = "sklearn.linear_model.LogisticRegression"


def refit(artifacts: dict[str, Any], folder: Path, tracking_uri: str, model_name: str) -> tuple[str, Any]:
    model = dsl.Model(name="refit", uri=str(folder / "refit"), metadata={})
    answer = refit_model.python_func(
        challenger=artifacts["model"], training_data=artifacts["training_data"], model=model, model_name=model_name, tracking_uri=tracking_uri
    )
    return answer, model


def test_the_challenger_has_not_seen_the_holdout_and_predicts_it(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tmp_path: Path
) -> None:
    ledger = tmp_path / "ledger"
    answer, artifacts = run_training(make_events(), estimator=LOGISTIC, ledger_uri=str(ledger), run_id="run-1")
    model = load_model(artifacts["model"].path)
    holdout = pd.read_parquet(artifacts["holdout_data"].path)
    assert (holdout["time"] >= pd.Timestamp(model.description.fit_end)).all()
    assert model.description.rows + len(holdout) == 1600
    assert len(holdout) == 320
    assert artifacts["model"].metadata["challenger_id"] == answer == model.description.challenger_id
    assert (model.predict(holdout) == holdout["rain"]).mean() > 0.85
    assert max(model.description.importances, key=model.description.importances.__getitem__) == "temperature"
    assert artifacts["metrics"].metadata == {"rows learned from": 1280.0}
    (record,) = read_run(open_store(str(ledger)), "run-1")
    assert record.details["holdout_rows"] == 320.0


def test_rows_of_one_time_stay_on_one_side(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    _, artifacts = run_training(make_events(days=30, per_day=7), estimator=LOGISTIC, holdout_share=0.11)
    holdout = pd.read_parquet(artifacts["holdout_data"].path)
    assert len(holdout) == 28
    assert holdout["time"].nunique() == 4


def test_the_logged_model_holds_the_same_model(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tracking_uri: str) -> None:
    _, artifacts = run_training(make_events(days=60), estimator=LOGISTIC, hyperparameters='{"C": 0.5}')
    metadata = artifacts["model"].metadata
    client = MlflowClient(tracking_uri=tracking_uri)
    logged = client.get_logged_model(metadata["model_uri"].removeprefix("models:/"))
    location = logged.artifact_location.removeprefix("file://")
    frame = pd.read_parquet(artifacts["holdout_data"].path)
    assert (load_model(location).predict(frame) == load_model(artifacts["model"].path).predict(frame)).all()
    run = client.get_run(metadata["mlflow_run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["hyperparameters.C"] == "0.5"
    assert run.data.tags["evergreen.challenger_id"] == metadata["challenger_id"]


def test_a_second_attempt_logs_nothing_new(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tracking_uri: str, tmp_path: Path
) -> None:
    frame = make_events(days=60)
    first, artifacts = run_training(frame, estimator=LOGISTIC)
    (tmp_path / "m-model" / "half-written").write_text("an attempt was killed here")
    second, again = run_training(frame, estimator=LOGISTIC)
    assert first == second
    assert again["model"].metadata["model_uri"] == artifacts["model"].metadata["model_uri"]
    assert not (tmp_path / "m-model" / "half-written").exists()
    client = MlflowClient(tracking_uri=tracking_uri)
    assert len(client.search_runs([client.get_experiment_by_name(f"evergreen/{tmp_path.name}").experiment_id])) == 1
    # What was logged and then cleaned up is made again.
    logged = client.get_logged_model(artifacts["model"].metadata["model_uri"].removeprefix("models:/"))
    shutil.rmtree(logged.artifact_location.removeprefix("file://"))
    _, third = run_training(frame, estimator=LOGISTIC)
    assert third["model"].metadata["model_uri"] != artifacts["model"].metadata["model_uri"]


def test_the_id_depends_on_data_and_recipe(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=40)
    ids = {
        run_training(frame, estimator=LOGISTIC)[0],
        run_training(frame, estimator=LOGISTIC, seed=8)[0],
        run_training(frame, estimator=LOGISTIC, hyperparameters='{"C": 2}')[0],
        run_training(frame.assign(humidity=0.5), estimator=LOGISTIC)[0],
    }
    assert len(ids) == 4


def test_mixed_features_and_gaps(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    frame = make_events(days=60)
    frame["city"] = frame["city"].where(frame.index % 9 != 0)
    frame["weekend"] = pd.array(frame["time"].dt.dayofweek >= 5, dtype="boolean")
    frame["seen_on"] = frame["time"].dt.date
    frame["count"] = pd.array(np.arange(len(frame)), dtype="Int64")
    frame.loc[3, ["weekend", "count"]] = pd.NA
    frame.loc[5, "rain"] = np.nan
    _, artifacts = run_training(frame, ledger_uri=str(tmp_path / "ledger"), run_id="run-1")
    model = load_model(artifacts["model"].path)
    kinds = model.description.features
    assert {kinds["city"], kinds["weekend"], kinds["seen_on"], kinds["count"]} == {"category", "boolean", "date", "number"}
    assert model.description.classes == [0, 1]
    (record,) = read_run(open_store(str(tmp_path / "ledger")), "run-1")
    assert record.details["unlabelled_rows"] == 1.0
    strange = frame.head(4).assign(city=["Atlantis", None, "Oslo", "Berlin"])
    assert set(model.predict(strange)) <= {0, 1}
    assert model.predict_probability(strange).shape == (4, 2)


def test_regression(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=60)
    frame["rain"] = frame["temperature"] * 2 + 1
    _, artifacts = run_training(frame, estimator="sklearn.linear_model.LinearRegression")
    model = load_model(artifacts["model"].path)
    assert model.description.task == "regression"
    assert model.predict_probability(frame) is None
    assert np.abs(model.predict(frame) - frame["rain"]).max() < 1e-6


def test_the_search_finds_the_better_value_and_refit_uses_it(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tmp_path: Path, tracking_uri: str
) -> None:
    search = json.dumps({"n_iter": 5, "space": {"max_depth": [1.0, 6]}})
    frame = make_events(days=100)
    frame["rain"] = ((frame["temperature"] > 0) ^ (frame["pressure"] > 0)).astype(int)
    _, artifacts = run_training(frame, estimator="sklearn.tree.DecisionTreeClassifier", search=search, metadata={"window_end": "2020-05-01T00:00:00Z"})
    assert load_model(artifacts["model"].path).description.hyperparameters == {"max_depth": 6}
    answer, model = refit(artifacts, tmp_path, tracking_uri, tmp_path.name)
    description = load_model(model.path).description
    assert description.hyperparameters == {"max_depth": 6}
    assert description.rows == 400
    assert description.fit_end == "2020-05-01T00:00:00Z" == model.metadata["fit_end"]
    assert description.importances
    assert answer not in ("", artifacts["model"].metadata["challenger_id"])


def test_refit_ends_just_after_the_last_row(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tmp_path: Path, tracking_uri: str
) -> None:
    _, artifacts = run_training(make_events(days=40), estimator=LOGISTIC)
    _, model = refit(artifacts, tmp_path, tracking_uri, tmp_path.name)
    assert load_model(model.path).description.fit_end == "2020-02-09T00:00:00.000001Z"


def test_refit_without_challenger(tmp_path: Path, tracking_uri: str) -> None:
    absent = {"model": dsl.Model(name="m", uri=str(tmp_path / "m"), metadata={"present": False}), "training_data": dsl.Dataset(name="d", uri="", metadata={})}
    with pytest.raises(TrainingError, match="challenger: the artifact contains no model"):
        refit(absent, tmp_path, tracking_uri, "m")


def test_a_given_mlflow_run_is_used_and_left_open(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = MlflowClient(tracking_uri=tracking_uri)
    run = client.create_run(client.create_experiment(f"kfp-{tmp_path.name}", artifact_location=(tmp_path / "kfp").as_uri()))
    client.log_param(run.info.run_id, "estimator", "what KFP logged")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    _, artifacts = run_training(make_events(days=40), estimator=LOGISTIC)
    assert artifacts["model"].metadata["mlflow_run_id"] == run.info.run_id
    after = client.get_run(run.info.run_id)
    assert after.info.status == "RUNNING"
    assert after.data.params == {"estimator": "what KFP logged"}
    assert after.data.tags["evergreen.estimator"] == LOGISTIC
    assert client.get_experiment_by_name(f"evergreen/{tmp_path.name}") is None


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"hyperparameters": "{"}, "training_hyperparameters '{': not JSON"),
    ({"hyperparameters": "[1]"}, "expected a JSON object, found list"),
    ({"hyperparameters": '{"depth": 3}'}, "Unknown hyperparameter 'depth' of .*LogisticRegression. Valid hyperparameters: C, "),
    ({"hyperparameters": '{"C": "strong"}'}, "The 'C' parameter of LogisticRegression must be a float"),
    ({"estimator": "Forest"}, "'Forest': expected auto or an import path"),
    ({"estimator": "no_such_module.Forest"}, "cannot import module 'no_such_module'"),
    ({"estimator": "sklearn.ensemble.Forest"}, "module 'sklearn.ensemble' has no 'Forest'"),
    ({"estimator": "subprocess.Popen"}, "'subprocess.Popen' is not a scikit-learn estimator"),
    ({"estimator": "sklearn.linear_model.LinearRegression"}, "the task is classification, which requires a classifier"),
    ({"estimator": "sklearn.ensemble.VotingClassifier"}, "cannot be created without arguments"),
    ({"task": "ranking"}, "model_task 'ranking'. Valid tasks: auto, classification, regression"),
    ({"holdout_share": 1.0}, "holdout_share 1.0: expected a share above 0 and below 1"),
    ({"holdout_share": 0.95}, "leave 8 to fit on before the holdout"),
    ({"target_column": "snow"}, "Unknown column 'snow' in target_column. Columns of the training data: time, temperature"),
    ({"timestamp_column": "when"}, "Unknown column 'when' in timestamp_column"),
    ({"search": "fast: ["}, "is neither YAML nor JSON"),
    ({"search": '{"n_iter": 3}'}, "space is .*: Field required"),
    ({"search": '{"n_iter": 0, "space": {"C": [1]}}'}, "n_iter is 0: Input should be greater than or equal to 1"),
    ({"search": '{"n_iter": 1, "space": {"C": 1}}'}, "space.C.* is 1: Input should be a valid list"),
    ({"search": '{"n_iter": 1, "space": {"depth": [1]}}'}, "hyperparameter 'depth'"),
    ({"search": '{"n_iter": 1, "space": {"C": ["x"]}}'}, "no candidate could be fitted"),
    ({"search": "/no/such/search.yaml"}, "'/no/such/search.yaml' cannot be read: file 'search.yaml' does not exist"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_named(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    started = time.monotonic()
    with pytest.raises(TrainingError, match=message):
        run_training(make_events(days=40), **{"estimator": LOGISTIC, **settings})
    assert time.monotonic() - started < 30
    assert not (tmp_path / "m-model").exists()


def change(column: str, value: Any) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda frame: frame.assign(**{column: value})


BAD_DATA: list[tuple[Callable[[pd.DataFrame], pd.DataFrame], str]] = [
    (change("rain", 1), "all 160 labelled rows belong to class 1; expected at least two"),
    (change("rain", None), "none of 160 rows has a label"),
    (change("humidity", np.nan), "Feature 'humidity' has no value in any of 128 rows"),
    (lambda frame: frame.assign(humidity=[[1, 2]] * len(frame)), "Feature 'humidity' contains mixed values"),
    (lambda frame: frame[["time", "rain"]], "has no columns other than the target and the timestamp"),
    (lambda frame: frame.head(0), "training data contains no rows"),
    (lambda frame: frame.assign(time=frame["time"].where(frame.index > 2)), "3 of 160 rows have no event time"),
    (lambda frame: frame.assign(rain=(frame["time"] > frame["time"].iloc[150]).astype(int)), "all 128 rows to fit on belong to class 0"),
    (lambda frame: frame.assign(time=frame["time"].iloc[0]), "leave 0 to fit on"),
]


@pytest.mark.parametrize(("spoil", "message"), BAD_DATA)
def test_bad_data_is_named(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=message):
        run_training(spoil(make_events(days=40)), estimator=LOGISTIC)
    assert not (tmp_path / "m-model").exists()


def test_regression_on_text_and_classes_of_fractions_are_refused(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=40)
    with pytest.raises(TrainingError, match="regression requires numbers, found object"):
        run_training(frame, target_column="city", task="regression")
    with pytest.raises(TrainingError, match="classification requires classes, found fractions"):
        run_training(frame, target_column="humidity", task="classification")


def test_state_that_cannot_work_is_refused(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"folder .*/absent does not exist"):
        run_training(make_events(days=40), tracking_uri=f"sqlite:///{tmp_path}/absent/mlflow.db")
    with pytest.raises(StateError, match="state_tracking_uri is 'none'"):
        run_training(make_events(days=40), tracking_uri="none")


def test_whole_floats_become_integers(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    _, artifacts = run_training(
        make_events(days=40), estimator="sklearn.ensemble.RandomForestClassifier", hyperparameters='{"n_estimators": 5.0, "max_features": 1.0}'
    )
    forest = load_model(artifacts["model"].path).pipeline.named_steps["model"]
    # 1.0 means all features and 1 means one of them: it has to stay a float.
    assert (forest.n_estimators, type(forest.n_estimators), forest.max_features, type(forest.max_features)) == (5, int, 1.0, float)
