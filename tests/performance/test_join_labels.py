"""Labels that come late, twice, too early, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen import join_labels
from evergreen.errors import PolicyError
from evergreen.performance.errors import PerformanceError
from evergreen.performance.label_join import JoinSettings, join_predictions
from evergreen.performance.prediction_log import PredictionBatch, PredictionLog, read_prediction_log, write_prediction_log
from evergreen.performance.unlabelled_rows import compare_unlabelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.results.performance import UnlabelledComparison

PREDICTED = pd.Timestamp("2026-01-10T00:00:00Z")
SETTINGS = JoinSettings(key_column="id", target_column="rain", timestamp_column="time", label_time_column="known_at", horizon_days=30)
UNTIMED = JoinSettings(key_column="id", target_column="rain", timestamp_column="time")


def write_log(path: Path, rows: int = 4, **more: Any) -> PredictionLog:
    confident = np.linspace(0.6, 0.9, rows)
    given: dict[str, Any] = {
        "keys": [f"k{number}" for number in range(rows)],
        "predicted": np.arange(rows) % 2,
        "predicted_at": PREDICTED,
        "probabilities": np.stack([1 - confident, confident], axis=1),
        "classes": [0, 1],
        "features": pd.DataFrame({"temperature": np.linspace(-1, 1, rows)}),
        **more,
    }
    write_prediction_log(path, PredictionBatch(model_name="rain", model_version="3", **given))
    return read_prediction_log(path)


def labels(*rows: tuple[Any, Any, str | None]) -> pd.DataFrame:
    return pd.DataFrame(
        {"id": [row[0] for row in rows], "rain": [row[1] for row in rows], "known_at": pd.to_datetime([row[2] for row in rows], utc=True, format="ISO8601")}
    )


def test_labels_meet_their_predictions(tmp_path: Path) -> None:
    frame, found = join_predictions(write_log(tmp_path / "log"), labels(("k1", 1, "2026-01-12"), ("k0", 0, "2026-01-20")), SETTINGS)
    assert frame["rain"].tolist()[:2] == [0, 1]
    assert frame["rain"].isna().tolist() == [False, False, True, True]
    assert frame["logged_prediction"].tolist() == [0, 1, 0, 1]
    assert frame["logged_probability_1"].tolist() == pytest.approx([0.6, 0.7, 0.8, 0.9])
    assert set(frame.columns) >= {"time", "temperature", "rain", "logged_prediction_key", "logged_model_version", "logged_predicted_at"}
    assert (found.rows, found.labelled, found.unlabelled, found.pending) == (4, 2, 2, 2)
    assert found.sentence == "2 of 4 predictions (50%) have a label; 2 have none, of which 2 may still receive one within 30 days."
    assert found.warnings == []


def test_a_label_after_the_horizon_is_not_used(tmp_path: Path) -> None:
    given = labels(("k0", 0, "2026-02-09T00:00:00Z"), ("k1", 1, "2026-02-09T00:00:01Z"))
    frame, found = join_predictions(write_log(tmp_path / "log"), given, SETTINGS)
    assert frame["rain"].notna().tolist() == [True, False, False, False]
    assert (found.labels_late, found.pending) == (1, 0)
    assert found.warnings == ["Labels that arrived more than 30 days after the prediction, not used (1)."]
    _, later = join_predictions(write_log(tmp_path / "log"), given.head(1), JoinSettings(**{**vars(SETTINGS), "as_of": "2026-02-01T00:00:00Z"}))
    assert later.pending == 3


def test_labels_for_unknown_keys_are_counted_and_ignored(tmp_path: Path) -> None:
    frame, found = join_predictions(write_log(tmp_path / "log"), labels(("k0", 1, "2026-01-11"), ("zz", 1, "2026-01-11"), ("yy", 0, "2026-01-11")), SETTINGS)
    assert (len(frame), found.labelled, found.labels_unknown_key) == (4, 1, 2)
    assert "Labels for keys that were never predicted, not used (2)." in found.warnings


def test_the_same_label_twice_is_fine(tmp_path: Path) -> None:
    given = labels(("k0", 1, "2026-01-11"), ("k0", 1, "2026-01-12"))
    for settings in (SETTINGS, UNTIMED):
        frame, found = join_predictions(write_log(tmp_path / "log"), given, settings)
        assert (len(frame), found.labelled, found.labels_repeated, found.labels_replaced) == (4, 1, 1, 0)


def test_of_different_labels_the_newest_counts(tmp_path: Path) -> None:
    given = labels(("k0", 1, "2026-01-13"), ("k0", 0, "2026-01-12"), ("k0", 0, "2026-03-30"))
    frame, found = join_predictions(write_log(tmp_path / "log"), given, SETTINGS)
    assert frame["rain"].iloc[0] == 1
    assert (found.labels_replaced, found.labels_late) == (1, 1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (UNTIMED, r"Key 'k2' has the labels 1, 0 and there is no label_time_column to show which is newer"),
        (SETTINGS, r"Key 'k2' has the labels 1, 0 at the same time"),
    ],
)
def test_different_labels_of_which_none_is_newer_are_an_error(tmp_path: Path, settings: JoinSettings, message: str) -> None:
    with pytest.raises(PerformanceError, match=message):
        join_predictions(write_log(tmp_path / "log"), labels(("k2", 1, "2026-01-12"), ("k2", 0, "2026-01-12")), settings)


def test_a_label_from_before_the_prediction_is_a_clock_problem(tmp_path: Path) -> None:
    frame, found = join_predictions(write_log(tmp_path / "log"), labels(("k0", 1, "2026-01-09"), ("k1", 1, None), ("k2", 1, "2026-01-10")), SETTINGS)
    assert frame["rain"].notna().tolist() == [False, False, True, False]
    assert (found.labels_before_prediction, found.labels_without_time) == (1, 1)
    assert "Labels older than their prediction, not used: a clock is wrong (1)." in found.warnings


def test_a_clock_that_jumps_back_is_named(tmp_path: Path) -> None:
    times = pd.Series(pd.to_datetime(["2026-01-10T10:00Z", "2026-01-10T09:00Z", "2026-01-10T10:05Z", "2026-01-10T10:06Z"]))
    _, found = join_predictions(write_log(tmp_path / "log", predicted_at=times), labels(("k0", 1, "2026-01-12")), SETTINGS)
    assert found.clock_jumps == 1
    assert "Times in the log earlier than in the preceding row, so a clock is wrong or was set back (1)." in found.warnings


def test_labels_without_values_and_without_times(tmp_path: Path) -> None:
    _, found = join_predictions(write_log(tmp_path / "log"), labels(("k0", None, "2026-01-12"), ("k1", 1.0, "2020-01-12")), UNTIMED)
    assert (found.labelled, found.labels_without_value) == (1, 1)
    assert found.warnings == ["Rows of the labels without a label (1).", "The labels have no time, so the horizon was not checked."]


def test_predictions_that_were_made_twice_count_once(tmp_path: Path) -> None:
    write_log(tmp_path / "log" / "1")
    write_log(tmp_path / "log" / "2", rows=1, predicted=np.array([1]), predicted_at=PREDICTED + pd.Timedelta(hours=1))
    frame, found = join_predictions(read_prediction_log(tmp_path / "log"), labels(("k0", 1, "2026-01-12")), SETTINGS)
    assert (len(frame), found.rows, found.predictions_repeated, found.labelled) == (4, 4, 1, 1)
    assert frame.set_index("logged_prediction_key").loc["k0", "logged_prediction"] == 1


def test_whether_the_unlabelled_rows_differ(make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(days=200, per_day=4)
    frame = rows.assign(logged_prediction=rows["rain"], logged_probability_0=0.4, logged_probability_1=0.6).astype({"rain": "float64"})

    def compare(given: pd.DataFrame) -> UnlabelledComparison:
        return compare_unlabelled(given, given["rain"].notna(), left_out=("rain", "time"))

    assert compare(frame).verdict == "nothing to compare"
    at_random = frame.assign(rain=frame["rain"].mask(np.arange(800) % 3 == 0))
    assert compare(at_random).verdict == "alike"
    warm = frame.assign(rain=frame["rain"].mask(frame["temperature"] > 0))
    found = compare(warm)
    assert found.verdict == "different"
    assert "temperature" in [item.name for item in found.features]
    assert found.sentence.startswith("The unlabelled rows differ from the labelled ones in temperature (severe)")
    few = frame.assign(rain=frame["rain"].mask(np.arange(800) < 3))
    assert compare(few).verdict == "cannot tell"


@pytest.fixture
def join(tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any]]]:
    write_log(tmp_path / "log", rows=100)

    def run(given: pd.DataFrame, *, present: bool = True, labels_present: bool = True, **settings: Any) -> tuple[str, dict[str, Any]]:
        given.to_parquet(tmp_path / "labels", index=False)
        outputs: dict[str, Any] = {
            "labelled_data": dsl.Dataset(name="d", uri=str(tmp_path / "out" / "data"), metadata={}),
            "join_result": dsl.Artifact(name="j", uri=str(tmp_path / "out" / "result"), metadata={}),
            "join_report": dsl.HTML(name="r", uri=str(tmp_path / "out" / "report.html"), metadata={}),
            "metrics": dsl.Metrics(name="m", uri=str(tmp_path / "out" / "metrics"), metadata={}),
        }
        columns = {"key_column": "id", "target_column": "rain", "timestamp_column": "time", "label_time_column": "known_at"}
        answer = join_labels.python_func(
            prediction_log=dsl.Dataset(name="l", uri=str(tmp_path / "log"), metadata={"present": present}),
            labels=dsl.Dataset(name="y", uri=str(tmp_path / "labels"), metadata={"present": labels_present}),
            **outputs,
            **{**columns, "ledger_uri": str(tmp_path / "ledger"), "run_id": "run-1", **settings},
        )
        result = json.loads(Path(outputs["join_result"].path).read_text())
        record = json.loads((tmp_path / "ledger/runs/run-1/join_labels.json").read_text())
        assert answer == result["verdict"] == record["outcome"]
        assert "Predictions and their labels" in Path(outputs["join_report"].path).read_text()
        assert Path(outputs["labelled_data"].path).exists()
        assert record["details"] == result
        share = {"share of predictions with a label": result["labelled"] / result["rows"]} if result["rows"] else {}
        assert json.loads(Path(outputs["metrics"].path).read_text()) == outputs["metrics"].metadata == share
        return answer, result

    return run


def test_the_component_says_how_the_unlabelled_differ(join: Callable[..., Any], tmp_path: Path) -> None:
    answer, result = join(labels(*((f"k{number}", number % 2, "2026-01-12") for number in range(50))))
    assert (answer, result["labelled"], result["unlike"]["verdict"]) == ("joined", 50, "different")
    assert {"temperature", "confidence"} <= {item["name"] for item in result["unlike"]["features"]}
    assert "temperature" in (tmp_path / "out" / "report.html").read_text()
    assert len(pd.read_parquet(tmp_path / "out" / "data")) == 100


def test_a_window_without_a_single_label(join: Callable[..., Any]) -> None:
    answer, result = join(labels(("zz", 1, "2026-01-12")))
    assert (answer, result["labelled"], result["unlike"]["verdict"]) == ("no labels", 0, "nothing to compare")


def test_labels_may_be_absent(join: Callable[..., Any]) -> None:
    answer, result = join(labels(("k0", 1, "2026-01-12")), labels_present=False)
    assert (answer, result["rows"], result["labels"], result["pending"]) == ("no labels", 100, 0, 100)
    assert join(labels(), labels_present=False, label_time_column="none")[0] == "no labels"


def test_without_a_log_there_is_nothing_to_join(join: Callable[..., Any]) -> None:
    assert join(labels(("k0", 1, "2026-01-12")), present=False)[0] == "no predictions"


def test_the_policy_sets_the_horizon_and_the_parameter_wins(join: Callable[..., Any]) -> None:
    given = labels(("k0", 1, "2026-01-12"), ("k1", 1, "2026-01-20"))
    assert join(given)[1]["labelled"] == 2
    assert join(given, policy_config="{performance: {horizon_days: 5}}")[1]["labelled"] == 1
    assert join(given, policy_config="{performance: {horizon_days: 5}}", horizon_days=1.0)[1]["labelled"] == 0
    with pytest.raises(PolicyError, match=r"performance.horizon_days is -1"):
        join(given, policy_config="{performance: {horizon_days: -1}}")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"key_column": "number"}, "Unknown column 'number' in key_column. Columns of the labels: id, rain, known_at"),
    ({"target_column": "snow"}, "Unknown column 'snow' in target_column"),
    ({"label_time_column": "when"}, "Unknown column 'when' in label_time_column"),
    ({"horizon_days": 0.0}, "horizon_days 0.0: expected a positive number of days"),
    ({"as_of": "soon"}, "as_of 'soon': expected latest or an ISO time"),
    ({"timestamp_column": "temperature"}, "Feature 'temperature' of the log has the same name as the label"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_input_is_named_and_writes_nothing(join: Callable[..., Any], settings: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(PerformanceError, match=message):
        join(labels(("k0", 1, "2026-01-12")), **settings)
    assert not (tmp_path / "out").exists()
