"""batch_predict and the format of its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kfp import dsl

from evergreen import batch_predict
from evergreen.models.files import load_model
from evergreen.models.trust import ModelError
from evergreen.performance.errors import PerformanceError
from evergreen.performance.prediction_log import CLASSES_KEY, VERSION_KEY, PredictionBatch, read_prediction_log, write_prediction_log

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = "2020-06-01T00:00:00Z"
NOON = pd.Timestamp("2026-01-31T12:00:00Z")


def batch(keys: list[Any], **more: Any) -> PredictionBatch:
    given: dict[str, Any] = {"predicted": np.arange(len(keys), dtype=np.float64), "predicted_at": NOON, "model_name": "rain", "model_version": "3", **more}
    return PredictionBatch(keys=keys, **given)


@pytest.fixture
def predict(tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> Callable[..., tuple[str, Any]]:
    model = make_model("champion", make_events(days=120, seed=1), fit_end=CUT)

    def run(rows: pd.DataFrame, *, present: bool = True, **settings: Any) -> tuple[str, Any]:
        model.metadata.update({"present": present, "model_name": "rain"})
        rows.to_parquet(tmp_path / "rows", index=False)
        log = dsl.Dataset(name="log", uri=str(tmp_path / "out" / "log"), metadata={})
        metrics = dsl.Metrics(name="m", uri=str(tmp_path / "numbers" / "metrics"), metadata={})
        given = {"key_column": "id", "ledger_uri": str(tmp_path / "ledger"), "run_id": "run-1", **settings}
        data = dsl.Dataset(name="d", uri=str(tmp_path / "rows"), metadata={})
        answer = batch_predict.python_func(model=model, data=data, prediction_log=log, metrics=metrics, **given)
        details = json.loads((tmp_path / "ledger/runs/run-1/batch_predict.json").read_text())["details"]
        shown = {"rows predicted": details["rows"], "mean confidence": details["mean_confidence"]}
        assert metrics.metadata == {name: value for name, value in shown.items() if value is not None}
        return answer, log

    return run


def test_it_writes_what_the_champion_says(predict: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tmp_path: Path) -> None:
    rows = make_events(start="2020-06-01", days=30, seed=5).assign(id=range(1000, 1120))
    answer, artifact = predict(rows, timestamp_column="time", predicted_at="2020-07-01T00:00:00Z")
    log = read_prediction_log(artifact.path)
    champion = load_model(tmp_path / "champion")
    assert answer == "predicted"
    assert log.classes == [0, 1]
    assert log.frame["prediction_key"].tolist() == [str(number) for number in range(1000, 1120)]
    assert log.frame["prediction"].tolist() == champion.predict(rows).tolist()
    assert np.allclose(log.frame[["probability_0", "probability_1"]], champion.predict_probability(rows))
    assert log.frame["event_time"].tolist() == rows["time"].tolist()
    assert set(log.frame["predicted_at"]) == {pd.Timestamp("2020-07-01T00:00:00Z")}
    assert set(log.frame["model_name"]) == {"rain"}
    assert set(log.frame["model_version"]) == {"3"}
    assert log.frame["feature_city"].tolist() == rows["city"].tolist()
    assert artifact.metadata["rows"] == 120
    record = json.loads((tmp_path / "ledger/runs/run-1/batch_predict.json").read_text())
    assert (record["outcome"], record["details"]["rows"]) == ("predicted", 120)


def test_the_format_is_written_down(predict: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    _, artifact = predict(make_events(days=2).assign(id=list("abcdefgh")), timestamp_column="time", log_features=False)
    schema = pq.read_schema(artifact.path)
    times = pa.timestamp("us", tz="UTC")
    assert schema.metadata[VERSION_KEY] == b"1"
    assert json.loads(schema.metadata[CLASSES_KEY]) == [0, 1]
    expected = {"prediction_key": pa.string(), "model_name": pa.string(), "model_version": pa.string(), "predicted_at": times, "event_time": times}
    expected |= {"prediction": pa.int64(), "probability_0": pa.float64(), "probability_1": pa.float64()}
    assert dict(zip(schema.names, schema.types, strict=True)) == expected


def test_without_a_champion_nothing_is_predicted(predict: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    answer, artifact = predict(make_events(days=1).assign(id=range(4)), present=False)
    assert (answer, artifact.metadata["present"]) == ("no champion", False)


def test_predictions_may_count_as_made_at_the_events_time(predict: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(days=2).assign(id=range(8))
    _, artifact = predict(rows, timestamp_column="time", predicted_at="event_time")
    log = read_prediction_log(artifact.path)
    assert log.frame["predicted_at"].tolist() == rows["time"].tolist()
    _, artifact = predict(rows)
    log = read_prediction_log(artifact.path)
    assert log.frame["event_time"].isna().all()
    assert (pd.Timestamp.now(tz="UTC") - log.frame["predicted_at"].iloc[0]) < pd.Timedelta(minutes=5)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"key_column": "number"}, "Unknown column 'number' in key_column. Columns of the data: time"),
    ({"key_column": "city"}, "key_column 'city' '.*': occurs more than once"),
    ({"key_column": "gap"}, "key_column 'gap': 1 of 8 rows have no key, which is needed to join labels"),
    ({"timestamp_column": "when"}, "Unknown column 'when' in timestamp_column"),
    ({"predicted_at": "soon"}, "predicted_at 'soon': expected now, event_time or an ISO time"),
    ({"predicted_at": "event_time"}, "predicted_at 'event_time' requires a timestamp_column"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_input_is_named_and_writes_nothing(
    predict: Callable[..., Any], make_events: Callable[..., pd.DataFrame], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    rows = make_events(days=2).assign(id=range(8), gap=[1, 2, 3, None, 5, 6, 7, 8])
    with pytest.raises(PerformanceError, match=message):
        predict(rows, **settings)
    assert not (tmp_path / "out" / "log").exists()


def test_rows_without_a_feature_are_named(predict: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(ModelError, match="the rows lack the features pressure"):
        predict(make_events(days=2).assign(id=range(8)).drop(columns="pressure"))


def test_a_folder_of_files_is_one_log_and_a_clock_that_jumps_back_is_counted(tmp_path: Path) -> None:
    times = pd.Series(pd.to_datetime(["2026-01-01T10:00Z", "2026-01-01T09:59Z", "2026-01-01T10:01Z"]))
    assert write_prediction_log(tmp_path / "log" / "1.parquet", batch(["a", "b", "c"], predicted_at=times)) == 3
    write_prediction_log(tmp_path / "log" / "2.parquet", batch(["d"]))
    log = read_prediction_log(tmp_path / "log")
    assert log.frame["prediction_key"].tolist() == ["a", "b", "c", "d"]
    assert (log.classes, log.clock_jumps, log.frame["prediction"].dtype) == ([], 1, np.float64)


def test_whole_numbers_stay_the_same_key_beside_a_gap(tmp_path: Path) -> None:
    write_prediction_log(tmp_path / "log", batch([17.0, 18.0]))
    assert read_prediction_log(tmp_path / "log").frame["prediction_key"].tolist() == ["17", "18"]


def test_what_is_no_log_is_named(tmp_path: Path) -> None:
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "table")
    with pytest.raises(PerformanceError, match="is not a prediction log"):
        read_prediction_log(tmp_path / "table")
    for metadata, message in (
        ({VERSION_KEY: b"2"}, "has version '2'; this release reads version 1"),
        ({VERSION_KEY: b"1"}, "lacks the columns prediction_key"),
    ):
        pq.write_table(pa.table({"x": [1]}).replace_schema_metadata(metadata), tmp_path / "table")
        with pytest.raises(PerformanceError, match=message):
            read_prediction_log(tmp_path / "table")
    write_prediction_log(tmp_path / "log" / "1", batch(["a"], classes=["no", "yes"], predicted=np.array(["no"])))
    write_prediction_log(tmp_path / "log" / "2", batch(["b"], classes=["maybe"], predicted=np.array(["maybe"])))
    with pytest.raises(PerformanceError, match=r"its files have different classes, \['no', 'yes'\] and \['maybe'\]"):
        read_prediction_log(tmp_path / "log")
