from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.errors import PolicyError
from evergreen.models.files import load_model
from evergreen.policy.policy_file import read_policy
from evergreen.training.data_warnings import look_at_rows
from evergreen.training.errors import TrainingError
from evergreen.training.memory import memory_available, read_within_memory
from evergreen.training.reproduction import reproduce
from evergreen.training.settings import recency_weights

if TYPE_CHECKING:
    from collections.abc import Callable

LOGISTIC = "sklearn.linear_model.LogisticRegression"
FEATURES = {"temperature": "number", "pressure": "number", "humidity": "number", "city": "category"}


def test_a_trainer_of_ones_own(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], trainers: str) -> None:
    frame = make_events(days=60)
    _, own = run_training(frame, estimator=f"{trainers}:logistic", hyperparameters='{"C": 0.5}', name="own")
    _, usual = run_training(frame, estimator=LOGISTIC, hyperparameters='{"C": 0.5}', name="usual")
    mine, theirs = load_model(own["model"].path), load_model(usual["model"].path)
    assert mine.description.estimator == f"{trainers}:logistic"
    assert np.array_equal(mine.predict_probability(frame), theirs.predict_probability(frame))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("nothing", "returned None; expected the fitted model. End the function with 'return model'"),
        ("a_number", "returned float, which has no predict"),
        ("not_fitted", r"the model's classes_ are None; expected those of the labels, \[0, 1\]"),
        ("failing", "failed on 192 rows: RuntimeError: no GPU here"),
        ("pairs", r"predicts shape \(5, 2\) for 5 rows; expected \(5,\)"),
        ("plain", "returned Plain, which scikit-learn's pipeline rejects: .*Derive its class from sklearn.base.BaseEstimator"),
        ("absent", "has no function 'absent'"),
        ("RATE", "of type float, not a function, as 'RATE'. Write module:function"),
    ],
)
def test_a_trainer_that_breaks_the_contract_is_named(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], trainers: str, *, function: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=f"[Tt]rainer '{trainers}:{function}':? .*{message}"):
        run_training(make_events(days=60), estimator=f"{trainers}:{function}")
    assert not (tmp_path / "m-model").exists()


def test_a_trainer_has_no_search_and_must_be_importable(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], trainers: str) -> None:
    with pytest.raises(TrainingError, match=r"a custom trainer .* must do its own search"):
        run_training(make_events(days=60), estimator=f"{trainers}:logistic", search='{"n_iter": 1, "space": {"C": [1]}}')
    with pytest.raises(TrainingError, match="module 'no_such_module' cannot be imported"):
        run_training(make_events(days=60), estimator="no_such_module:train")


def test_many_valued_categories_are_encoded_by_the_target_without_leaking(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=200)
    random = np.random.default_rng(0)
    # Nearly every row has a value of its own: a mean that includes the row's own label would give the label away.
    frame["ticket"] = [f"t{number}" for number in random.integers(0, 100_000, len(frame))]
    _, artifacts = run_training(frame, estimator="sklearn.tree.DecisionTreeClassifier", hyperparameters='{"max_depth": 4}')
    model = load_model(artifacts["model"].path)
    holdout = pd.read_parquet(artifacts["holdout_data"].path)
    assert (model.predict(holdout) == holdout["rain"]).mean() > 0.75
    assert model.pipeline.named_steps["preprocessing"].n_features_in_ == 5
    assert model.pipeline.named_steps["preprocessing"].transform(_prepared(model, holdout)).shape[1] < 12
    assert model.predict(holdout.assign(ticket="never seen")).shape == (len(holdout),)
    assert model.predict(holdout.assign(ticket=None)).shape == (len(holdout),)


def test_a_random_key_teaches_nothing(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    random = np.random.default_rng(1)
    frame = make_events(days=400)[["time"]]
    frame["key"] = [f"k{number}" for number in random.integers(0, 800, len(frame))]
    frame["rain"] = random.integers(0, 2, len(frame))
    _, artifacts = run_training(frame, estimator="sklearn.tree.DecisionTreeClassifier", hyperparameters='{"max_depth": 3}')
    model = load_model(artifacts["model"].path)
    holdout = pd.read_parquet(artifacts["holdout_data"].path)
    fitted_on = frame[frame["time"] < holdout["time"].min()]
    encoder = clone(model.pipeline.named_steps["preprocessing"])
    prepared = _prepared(model, fitted_on)
    cross_fitted = encoder.fit_transform(prepared, fitted_on["rain"])[:, 0]
    assert 0.4 < roc_auc_score(fitted_on["rain"], cross_fitted) < 0.6, "what the estimator learns from holds nothing"
    assert roc_auc_score(fitted_on["rain"], encoder.transform(prepared)[:, 0]) > 0.75, "plain means give the label away"
    assert 0.4 < np.mean(model.predict(holdout) == holdout["rain"]) < 0.6


def _prepared(model: Any, frame: pd.DataFrame) -> pd.DataFrame:
    from evergreen.data.columns import prepare_features

    return prepare_features(frame, model.description.features)


def test_the_same_rows_before_and_after_saving_one_by_one_or_together(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=60)
    _, artifacts = run_training(frame, policy_config="training: {encoding: target}")
    model = load_model(artifacts["model"].path)
    together = model.predict_probability(frame.head(20))
    one_by_one = np.concatenate([model.predict_probability(frame.iloc[[row]]) for row in range(20)])
    assert np.array_equal(together, one_by_one)
    assert model.description.training_options == {"encoding": "target"}


def test_old_rows_count_less(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    times = pd.Series(pd.to_datetime(["2020-01-01", "2020-01-11", "2020-01-21"], utc=True))
    assert recency_weights(times, 10.0) == pytest.approx([0.25, 0.5, 1.0])
    assert recency_weights(times, None) is None
    # The relation turned round half way; only weights tell the model which half to believe.
    frame = pd.concat([make_events(days=150, flip=True), make_events(start="2020-05-30", days=100, seed=1)], ignore_index=True)
    scores = []
    for policy in ("default", "training: {recency_half_life_days: 5}"):
        _, artifacts = run_training(frame, estimator=LOGISTIC, policy_config=policy, holdout_share=0.1)
        holdout = pd.read_parquet(artifacts["holdout_data"].path)
        scores.append((load_model(artifacts["model"].path).predict(holdout) == holdout["rain"]).mean())
    assert scores[0] < 0.3
    assert scores[1] > 0.8
    with pytest.raises(TrainingError, match="KNeighborsClassifier does not support weights"):
        run_training(frame, estimator="sklearn.neighbors.KNeighborsClassifier", policy_config="training: {recency_half_life_days: 5}")


def test_a_sample_of_larger_data(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    whole, _ = run_training(make_events(days=100), estimator=LOGISTIC)
    sampled, artifacts = run_training(make_events(days=100), estimator=LOGISTIC, policy_config="training: {sample_rows: 150}")
    assert load_model(artifacts["model"].path).description.rows + artifacts["holdout_data"].metadata["rows"] == 150
    assert sampled != whole


def test_data_larger_than_memory_is_refused_with_what_would_fit(make_events: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    frame = make_events(days=100)
    frame.to_parquet(tmp_path / "rows", index=False)
    each = frame.memory_usage(deep=True, index=False).sum() / 400
    free = int(each * 4 * 120)
    with pytest.raises(TrainingError, match=r"400 rows need about .* MB are free. Set training.sample_rows in policy_config to at most 1[12]\d,"):
        read_within_memory(tmp_path / "rows", sample_rows=None, seed=7, available_bytes=free)
    first = read_within_memory(tmp_path / "rows", sample_rows=110, seed=7, available_bytes=free)
    assert len(first) == 110
    assert first.equals(read_within_memory(tmp_path / "rows", sample_rows=110, seed=7, available_bytes=free))
    assert not first.equals(read_within_memory(tmp_path / "rows", sample_rows=110, seed=8, available_bytes=free))
    assert memory_available() is None or memory_available() > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{half_life: 3}", "Unknown setting 'training.half_life'. Valid settings: recency_half_life_days, sample_rows, encoding"),
        ("{recency_half_life_days: -1}", "training.recency_half_life_days is -1: Input should be greater than 0"),
        ("{sample_rows: 3}", "training.sample_rows is 3: Input should be greater than or equal to 100"),
        ("{encoding: hash}", "training.encoding is 'hash': Input should be 'automatic', 'one-hot' or 'target'"),
    ],
)
def test_wrong_options_are_named(text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=f"policy_config: {message}"):
        read_policy(f"training: {text}")


def look(frame: pd.DataFrame, features: dict[str, str], *, classes: tuple[int, ...] = (0, 1)) -> str:
    half = len(frame) // 2
    return " ".join(look_at_rows(frame.head(half), frame.tail(half), target_column="rain", features=features, classes=classes))


def test_a_leak_is_named_and_honest_features_are_not(make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=200)
    assert look(frame, FEATURES) == ""
    frame["answer"] = frame["rain"]
    frame["word"] = np.where(frame["rain"] == 1, "wet", "dry")
    frame["amount"] = frame["rain"] * 10 + np.abs(frame["humidity"])
    found = look(frame, {**FEATURES, "answer": "number", "word": "category", "amount": "number"})
    for name in ("answer", "word", "amount"):
        assert f"feature '{name}': equals the target" in found
    assert "'temperature'" not in found
    frame["rain"] = frame["temperature"] * 3
    assert "feature 'temperature': equals the target" in look(frame, FEATURES, classes=())
    assert "'pressure'" not in look(frame, FEATURES, classes=())


def test_duplicates_constants_and_one_sided_classes_are_named(make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=100).assign(humidity=1.0)
    frame.loc[200:229, [*FEATURES, "rain"]] = frame.loc[0:29, [*FEATURES, "rain"]].to_numpy()
    frame = frame.astype({"temperature": float, "pressure": float, "humidity": float, "rain": int})
    found = look(frame, FEATURES)
    assert "30 of 200 holdout rows (15.0%) are also among the rows to fit on" in found
    assert "features humidity: constant on all examined rows" in found
    frame.loc[frame.index[-1], "rain"] = 2
    frame.loc[0, "rain"] = 3
    found = look(frame, FEATURES, classes=(0, 1, 2, 3))
    assert "the holdout has classes missing from the rows to fit on: 2" in found
    assert "the holdout lacks classes that are in the rows to fit on: 3" in found


def test_duplicates_are_found_where_values_are_missing_and_where_there_is_no_fraction(make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=100)
    frame.loc[200:229, [*FEATURES, "rain"]] = frame.loc[0:29, [*FEATURES, "rain"]].to_numpy()
    frame = frame.astype({"temperature": float, "pressure": float, "humidity": float, "rain": int})
    frame.loc[[*range(10), *range(200, 210), 390], "temperature"] = np.nan
    assert "30 of 200 holdout rows (15.0%) are also among the rows to fit on" in look(frame, FEATURES)
    # The same fraction twice is no duplicate as long as another column differs.
    frame.loc[200:229, "city"] = "Atlantis"
    assert "are also among" not in look(frame, FEATURES)
    whole = pd.DataFrame({"count": range(400), "word": "a", "rain": [0, 1] * 200})
    whole.loc[300:302, "count"] = [0, 2, 3]
    assert "1 of 200 holdout rows (0.5%) are also among" in look(whole, {"count": "number", "word": "category"})


def test_what_looks_wrong_and_what_it_takes_to_do_it_again_are_logged(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tracking_uri: str, tmp_path: Path
) -> None:
    _, artifacts = run_training(make_events(days=40).assign(humidity=1.0), estimator=LOGISTIC, ledger_uri=str(tmp_path / "ledger"), run_id="run-1")
    record = json.loads((tmp_path / "ledger" / "runs" / "run-1" / "train_model.json").read_text())
    assert record["details"]["warnings"] == ["features humidity: constant on all examined rows, and therefore uninformative."]
    metadata = artifacts["model"].metadata
    file = MlflowClient(tracking_uri=tracking_uri).download_artifacts(metadata["mlflow_run_id"], f"training-{metadata['challenger_id']}.json", str(tmp_path))
    logged = json.loads(Path(file).read_text())
    assert logged["warnings"] == record["details"]["warnings"]
    assert logged["recipe"]["estimator"] == LOGISTIC
    assert logged["libraries"]["scikit-learn"]
    assert logged["data_uri"] == artifacts["training_data"].uri
    assert record["details"]["peak_memory_megabytes"] > 10


def registered(tracking_uri: str, name: str, artifacts: dict[str, Any]) -> None:
    from evergreen.registry.versions import ModelRegistry

    metadata = artifacts["model"].metadata
    ModelRegistry(tracking_uri, name).register(
        model_id=metadata["model_uri"].removeprefix("models:/"), run_id=metadata["mlflow_run_id"], challenger_id=metadata["challenger_id"], tags={}
    )


def test_a_version_is_trained_again_with_the_same_predictions(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tracking_uri: str, tmp_path: Path
) -> None:
    name = f"again-{tmp_path.name}"
    policy = "training: {recency_half_life_days: 30, sample_rows: 200}"
    _, artifacts = run_training(
        make_events(days=60), estimator="sklearn.ensemble.RandomForestClassifier", hyperparameters='{"n_estimators": 5}', policy_config=policy
    )
    registered(tracking_uri, name, artifacts)
    found = reproduce(model_name=name, version="1", tracking_uri=tracking_uri)
    assert found.same
    assert (found.different, found.rows_fitted) == (0, load_model(artifacts["model"].path).description.rows)
    shown = CliRunner().invoke(app, ["reproduce", name, "1", "--tracking-uri", tracking_uri])
    assert shown.exit_code == 0
    assert f"The same: fitted again on {found.rows_fitted} rows" in shown.stdout
    # Labels that were changed meanwhile show.
    changed = make_events(days=60)
    changed["rain"] = 1 - changed["rain"]
    changed.to_parquet(tmp_path / "changed.parquet", index=False)
    other = CliRunner().invoke(app, ["reproduce", name, "1", "--tracking-uri", tracking_uri, "--data", str(tmp_path / "changed.parquet"), "--json"])
    assert other.exit_code == 1
    assert json.loads(other.stdout)["different"] > 0
    make_events(days=30).to_parquet(tmp_path / "few.parquet", index=False)
    with pytest.raises(TrainingError, match="It is a different dataset; pass the right one with --data"):
        reproduce(model_name=name, version="1", tracking_uri=tracking_uri, data=str(tmp_path / "few.parquet"))
    with pytest.raises(TrainingError, match=r"training data of .* version 1: '/no/such' does not exist. Pass the dataset with --data"):
        reproduce(model_name=name, version="1", tracking_uri=tracking_uri, data="/no/such")
