from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from evergreen.data.artifacts import ModelDescription
from evergreen.data.columns import prepare_features, prepare_labels
from evergreen.errors import ArtifactError
from evergreen.models.files import load_model, save_model
from evergreen.models.trust import TRUSTED_TYPES_VARIABLE, ModelError
from evergreen.training.preprocessing import build_pipeline
from evergreen.training.recipe import Recipe, build_estimator

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

FEATURES = {"temperature": "number", "city": "category", "time": "date"}
DESCRIPTION = ModelDescription(
    task="classification",
    target_column="rain",
    timestamp_column="time",
    features=FEATURES,
    classes=[0, 1],
    fit_start="2020-01-01T00:00:00Z",
    fit_end="2020-02-01T00:00:00Z",
    rows=120,
    estimator="sklearn.ensemble.RandomForestClassifier",
    hyperparameters={"n_estimators": 3},
    seed=7,
    data_fingerprint="f",
    challenger_id="abc",
)


@pytest.fixture
def rows(make_events: Callable[..., pd.DataFrame]) -> pd.DataFrame:
    return make_events(days=30)


def save(rows: pd.DataFrame, path: Path, estimator: Any = None, description: ModelDescription = DESCRIPTION) -> Any:
    kind = description.estimator
    made = estimator or build_estimator(Recipe("classification", kind, description.hyperparameters, 7))
    prepared = prepare_features(rows, description.features)
    pipeline = build_pipeline(description.features, made).fit(prepared, prepare_labels(rows["rain"], [0, 1]))
    save_model(pipeline, path, description=description, rows=rows)
    return pipeline


@pytest.mark.parametrize(
    "estimator",
    [
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.ensemble.GradientBoostingClassifier",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.neighbors.KNeighborsClassifier",
        "sklearn.neural_network.MLPClassifier",
    ],
)
def test_a_saved_model_predicts_the_same(rows: pd.DataFrame, tmp_path: Path, estimator: str) -> None:
    pipeline = save(rows, tmp_path / "model", description=replace(DESCRIPTION, estimator=estimator, hyperparameters={}))
    model = load_model(tmp_path / "model")
    expected = pipeline.predict_proba(prepare_features(rows, FEATURES))
    probability = model.predict_probability(rows.sample(frac=1, axis="columns", random_state=0))
    assert np.array_equal(probability, expected)
    assert model.description.estimator == estimator
    assert model.description.trusted_types == []


def test_mlflow_serves_it_from_the_signature(rows: pd.DataFrame, tmp_path: Path) -> None:
    pipeline = save(rows, tmp_path / "model")
    prepared = prepare_features(rows, FEATURES)
    served = mlflow.pyfunc.load_model(str(tmp_path / "model"))
    assert np.array_equal(served.predict(prepared), pipeline.predict(prepared))
    requirements = (tmp_path / "model" / "requirements.txt").read_text()
    assert "scikit-learn==" in requirements
    assert "skops==" in requirements


def test_loading_needs_no_mlflow(rows: pd.DataFrame, tmp_path: Path) -> None:
    save(rows, tmp_path / "model")
    load = f"from evergreen.models.files import load_model; load_model({str(tmp_path / 'model')!r})"
    code = f"import sys; {load}; print('mlflow' in sys.modules, 'kfp' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["False", "False"]


def test_types_that_nobody_trusts_are_refused(rows: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strange = LogisticRegression()
    strange.payload = Path("/tmp/x")  # skops does not know pathlib
    with pytest.raises(ModelError, match=rf"contains untrusted types: pathlib.PosixPath\. .*{TRUSTED_TYPES_VARIABLE}=pathlib.PosixPath"):
        save(rows, tmp_path / "model", estimator=strange)
    assert not (tmp_path / "model").exists()
    monkeypatch.setenv(TRUSTED_TYPES_VARIABLE, "pathlib.PosixPath")
    save(rows, tmp_path / "model", estimator=strange)
    assert load_model(tmp_path / "model").description.trusted_types == ["pathlib.PosixPath"]
    monkeypatch.delenv(TRUSTED_TYPES_VARIABLE)
    # What the directory says of itself is no reason to trust it.
    with pytest.raises(ModelError, match=r"untrusted types: pathlib\.PosixPath"):
        load_model(tmp_path / "model")
    assert load_model(tmp_path / "model", trusted_types=["pathlib.PosixPath"]).description.challenger_id == "abc"


def edit_mlmodel(folder: Path, **entries: str) -> None:
    content = yaml.safe_load((folder / "MLmodel").read_text())
    content["flavors"]["sklearn"].update(entries)
    (folder / "MLmodel").write_text(yaml.safe_dump(content))


def test_a_pickle_is_refused(rows: pd.DataFrame, tmp_path: Path) -> None:
    save(rows, tmp_path / "model")
    edit_mlmodel(tmp_path / "model", serialization_format="cloudpickle")
    with pytest.raises(ModelError, match="is stored as cloudpickle, which runs code when loaded; expected skops"):
        load_model(tmp_path / "model")
    edit_mlmodel(tmp_path / "model", serialization_format="skops", pickled_model="model.pkl")
    with pytest.raises(ModelError, match="runs code when loaded"):
        load_model(tmp_path / "model")


def test_damaged_directories_are_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="expected an MLflow model directory"):
        load_model(tmp_path / "absent")
    folder = tmp_path / "model"
    save(rows, folder)
    description = (folder / "evergreen.json").read_text()
    (folder / "evergreen.json").write_text(json.dumps({"task": "classification"}))
    with pytest.raises(ModelError, match=r"model description .*missing .* Retrain the model"):
        load_model(folder)
    (folder / "evergreen.json").unlink()
    with pytest.raises(ArtifactError, match=r"evergreen.json: expected a JSON object"):
        load_model(folder)
    (folder / "evergreen.json").write_text(description)
    (folder / "model.skops").write_bytes(b"not a zip file")
    with pytest.raises(ModelError, match="skops cannot read it"):
        load_model(folder)
    (folder / "model.skops").unlink()
    with pytest.raises(ModelError, match=r"has no model.skops, although"):
        load_model(folder)


def test_rows_that_do_not_fit_are_named(rows: pd.DataFrame, tmp_path: Path) -> None:
    save(rows, tmp_path / "model")
    model = load_model(tmp_path / "model")
    with pytest.raises(ModelError, match="model abc: the rows lack the features city, temperature; they have time"):
        model.predict(rows[["time"]])
    with pytest.raises(ArtifactError, match="column 'temperature': holds object values where the model expects a number"):
        model.predict(rows.assign(temperature="warm"))
    with pytest.raises(ArtifactError, match="column 'time': expected times, found int64"):
        model.predict(rows.assign(time=5))


def test_a_directory_in_use_is_not_overwritten(rows: pd.DataFrame, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "precious").write_text("x")
    with pytest.raises(ModelError, match=r"model directory .*model: is already in use. Choose a directory that does not exist yet"):
        save(rows, tmp_path / "model")
    assert (tmp_path / "model" / "precious").read_text() == "x"


def test_features_are_cast_alike_whatever_their_type() -> None:
    plain = pd.DataFrame({"n": [1, 2], "c": [1, 2], "b": [True, False], "d": pd.to_datetime(["1970-01-02", "1970-01-03"])})
    gaps = pd.DataFrame({"n": [1.0, np.inf], "c": [1.0, None], "b": pd.array([True, None], dtype="boolean"), "d": ["1970-01-02T00:00:00Z", None]})
    kinds = {"d": "date", "b": "boolean", "c": "category", "n": "number"}
    assert prepare_features(plain, kinds).iloc[0].tolist() == prepare_features(gaps, kinds).iloc[0].tolist() == [1.0, 1.0, "1", 1.0]
    missing = prepare_features(gaps, kinds).iloc[1]
    assert missing.isna().all()
    assert missing["c"] is None
    with pytest.raises(ArtifactError, match="columns n: missing; the table has c"):
        prepare_features(plain[["c", "b", "d"]], kinds)


def test_labels_take_the_type_of_the_classes() -> None:
    assert prepare_labels(pd.Series([0.0, 1.0]), [0, 1]).dtype == np.int64
    assert prepare_labels(pd.Series([1, 0]), [False, True]).tolist() == [True, False]
    assert prepare_labels(pd.Series([True, False], dtype=object), [False, True]).tolist() == [True, False]
    assert prepare_labels(pd.Series([1, 2]), ["1", "2"]).tolist() == ["1", "2"]
    with pytest.raises(ArtifactError, match="label 'y': holds fractions where the model expects the classes"):
        prepare_labels(pd.Series([0.5], name="y"), [0, 1])
    with pytest.raises(ArtifactError, match="label 'y': holds object values where the model expects int"):
        prepare_labels(pd.Series(["wet"], name="y"), [0, 1])
