"""The same request gives the same answer before saving, after loading, and in another process."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.data.artifacts import ModelDescription
from evergreen.errors import ArtifactError
from evergreen.models.files import load_model, save_model
from evergreen.models.fitted import FittedModel
from evergreen.models.recorded_predictions import RecordedPredictions, as_requests, differences, read_record, write_record
from evergreen.training.fit import fit_recipe
from evergreen.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

FEATURES = {"amount": "number", "city": "category", "code": "category", "member": "boolean", "price": "number", "since": "date"}

SERVE = """
import json, sys
import pandas as pd
from evergreen.models.files import load_model
model = load_model(sys.argv[1])
rows = json.load(sys.stdin)
print(json.dumps([model.predict_probability(pd.DataFrame([row])).tolist()[0] for row in rows]))
"""


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    random = np.random.default_rng(3)
    count = 300
    frame = pd.DataFrame({"amount": random.normal(size=count), "since": pd.date_range("2020-01-01", periods=count, freq="36h")})
    frame["city"] = random.choice(np.array(["Oslo", "Bergen", None], dtype=object), count)
    frame["code"] = random.integers(0, 3, count).astype(float)
    frame["code"] = frame["code"].astype(object)
    frame["member"] = random.choice(np.array([True, False, None], dtype=object), count)
    frame["price"] = [None if number % 7 == 0 else Decimal(number) / 4 for number in range(count)]
    frame.loc[::9, "amount"] = np.nan
    frame.loc[5, "since"] = pd.NaT
    frame.loc[6, "since"] += pd.Timedelta(milliseconds=250)
    frame["label"] = (frame["amount"].fillna(0) + (frame["city"] == "Oslo") + frame["since"].dt.month.fillna(0) / 12 > 1).astype(int)
    return frame


@pytest.fixture(scope="module")
def fitted(rows: pd.DataFrame) -> FittedModel:
    recipe = Recipe("classification", "sklearn.linear_model.LogisticRegression", {}, 7)
    fit = fit_recipe(recipe, rows, target_column="label", features=FEATURES, classes=[0, 1])
    description = ModelDescription(
        task="classification",
        target_column="label",
        timestamp_column="time",
        features=FEATURES,
        classes=[0, 1],
        fit_start="2020-01-01T00:00:00Z",
        fit_end="2021-06-01T00:00:00Z",
        rows=len(rows),
        estimator=recipe.estimator,
        hyperparameters={},
        seed=7,
        data_fingerprint="f",
        challenger_id="abc",
    )
    return FittedModel(fit.pipeline, description)


def test_the_same_request_before_saving_after_loading_and_through_another_process(tmp_path: Path, rows: pd.DataFrame, fitted: FittedModel) -> None:
    strange = pd.DataFrame(
        [
            {"amount": 0.5, "city": "Atlantis", "code": 17.0, "member": True, "price": None, "since": pd.Timestamp("2031-05-01T12:00:00.5")},
            {"amount": None, "city": None, "code": None, "member": None, "price": None, "since": None},
            {"amount": 1e300, "city": "", "code": 1.0, "member": False, "price": Decimal("0.25"), "since": pd.Timestamp("1970-01-01")},
        ]
    )
    asked = pd.concat([rows[list(FEATURES)].head(60), strange.astype({"since": "datetime64[ns]"})], ignore_index=True)
    before: Any = fitted.predict_probability(asked)
    save_model(fitted.pipeline, tmp_path / "model", description=fitted.description, rows=rows)
    requests = as_requests(asked)
    loaded = load_model(tmp_path / "model")
    together: Any = loaded.predict_probability(pd.DataFrame(requests))
    done = subprocess.run([sys.executable, "-c", SERVE, str(tmp_path / "model")], input=json.dumps(requests), capture_output=True, text=True, check=True)
    np.testing.assert_allclose(together, before, rtol=1e-12)
    np.testing.assert_allclose(json.loads(done.stdout), before, rtol=1e-12)
    record = read_record(tmp_path / "model")
    assert len(record.rows) == 200
    assert differences(record, loaded.predict(pd.DataFrame(record.rows)).tolist(), None) == 0


def test_times_in_every_usual_way_are_the_same_request(fitted: FittedModel) -> None:
    ways = ["2020-05-01T12:00:00", "2020-05-01T12:00:00Z", "2020-05-01 12:00:00.000+00:00", "2020-05-01T14:00:00+02:00"]
    row = {"amount": 1.0, "city": "Oslo", "code": 1, "member": True, "price": 2}
    said: Any = fitted.predict_probability(pd.DataFrame([{**row, "since": way} for way in ways]))
    given: Any = fitted.predict_probability(pd.DataFrame([{**row, "since": datetime.datetime(2020, 5, 1, 12, tzinfo=datetime.timezone.utc)}]))
    np.testing.assert_array_equal(said, np.tile(given, (4, 1)))


def test_differences_count_rows_and_forgive_last_digits(tmp_path: Path) -> None:
    numbers = RecordedPredictions([{}, {}, {}], [1.0, 2.0, 3.0])
    assert differences(numbers, [1.0 + 1e-12, 2.0, 3.1], None) == 1
    words = RecordedPredictions([{}, {}], ["a", "b"], [[0.9, 0.1], [0.2, 0.8]])
    assert differences(words, ["a", "b"], [[0.9, 0.1], [0.3, 0.7]]) == 1
    assert differences(words, ["b"], None) == 1
    write_record(tmp_path, RecordedPredictions([{}], []))
    with pytest.raises(ArtifactError, match=r"expected rows and as many predictions, found predictions, probabilities, rows. Retrain the model"):
        read_record(tmp_path)
