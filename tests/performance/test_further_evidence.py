"""What monitor_performance finds beside the score: logged predictions, estimates, slices, errors, and metrics of the user's own."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen import batch_predict, join_labels, monitor_performance
from evergreen.errors import PolicyError
from evergreen.evaluation.calibration import measure_calibration
from evergreen.evaluation.holdout_rows import predictions_of
from evergreen.metrics.prediction_errors import summarise_errors
from evergreen.metrics.scoring import bootstrap_interval, resolve_metric
from evergreen.models.files import load_model
from evergreen.performance.errors import PerformanceError

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = "2020-06-01T00:00:00Z"
COLUMNS = {"target_column": "rain", "timestamp_column": "time"}


class World:
    """A champion, its baseline from a holdout, and the component called on rows."""

    def __init__(self, folder: Path, model: Any, holdout: pd.DataFrame, *, metric: str = "accuracy") -> None:
        self.folder, self.model = folder, model
        said = predictions_of(load_model(model.path), holdout, target_column="rain")
        interval = bootstrap_interval(resolve_metric(metric, load_model(model.path).description.task), said)
        calibration = measure_calibration(said)
        self.baseline = {
            "present": True,
            "metric": metric,
            "score": interval.score,
            "lower": interval.lower,
            "upper": interval.upper,
            "calibration": asdict(calibration) if calibration else None,
            "errors": asdict(summarise_errors(said)),
        }

    def watch(self, rows: pd.DataFrame | str, **settings: Any) -> dict[str, Any]:
        path = str(self.folder / "rows") if isinstance(rows, pd.DataFrame) else rows
        if isinstance(rows, pd.DataFrame):
            rows.to_parquet(path, index=False)
        (self.folder / "baseline").write_text(json.dumps(self.baseline))
        report = dsl.HTML(name="r", uri=str(self.folder / "report.html"), metadata={})
        result = dsl.Artifact(name="p", uri=str(self.folder / "result"), metadata={})
        answer = monitor_performance.python_func(
            model=self.model,
            baseline=dsl.Artifact(name="b", uri=str(self.folder / "baseline"), metadata={"present": True}),
            current_data=dsl.Dataset(name="d", uri=path, metadata={}),
            performance_result=result,
            performance_report=report,
            metrics=dsl.Metrics(name="m", uri=str(self.folder / "metrics"), metadata={}),
            **{**COLUMNS, **settings},
        )
        found: dict[str, Any] = json.loads(Path(result.path).read_text())
        assert found["verdict"] == answer
        return found

    def page(self) -> str:
        return (self.folder / "report.html").read_text().replace("&#39;", "'")


@pytest.fixture
def world(tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> World:
    return World(tmp_path, make_model("champion", make_events(days=120, seed=1), fit_end=CUT), make_events(days=150, seed=2))


def without_labels(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(rain=pd.Series(np.nan, index=rows.index))


def test_without_labels_there_is_an_estimate(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-06-01", days=100, seed=5, shift=1.5)
    found = world.watch(without_labels(rows))
    estimate = found["estimate"]
    truth = predictions_of(load_model(world.model.path), rows, target_column="rain")
    assert (found["verdict"], found["score"]) == ("cannot tell", None)
    assert (estimate["available"], estimate["rows"], estimate["metric"]) == (True, 400, "accuracy")
    assert estimate["lower"] <= (truth.labels == truth.predicted).mean() <= estimate["upper"]
    assert estimate["verdict"] in ("holds", "degraded")
    assert "Estimated from the champion's confidences, without labels" in world.page()
    assert "An estimate, not a measurement" in world.page()
    assert world.watch(without_labels(rows), policy_config="{performance: {estimate: 'off'}}")["estimate"] is None


def test_the_newest_rows_are_estimated_while_their_labels_settle(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    found = world.watch(make_events(start="2020-06-01", days=60, seed=5), label_delay_days=20)
    assert (found["verdict"], found["rows"]) == ("holds", 160)
    assert (found["estimate"]["rows"], found["estimate"]["available"]) == (80, True)
    assert "80 rows without a settled label" in found["estimate"]["sentence"]
    assert world.watch(make_events(start="2020-06-01", days=60, seed=5))["estimate"] is None


def test_an_uncalibrated_model_and_an_old_baseline_say_why_there_is_no_estimate(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    rows = without_labels(make_events(start="2020-06-01", days=30))
    world.baseline["calibration"] |= {"error": 0.3, "observed": [0.5] * len(world.baseline["calibration"]["rows"])}
    found = world.watch(rows)["estimate"]
    assert not found["available"]
    assert "not available, because the model is not calibrated: its expected calibration error at promotion was 0.3, above 0.05" in found["sentence"]
    assert found["sentence"] in world.page()
    del world.baseline["calibration"], world.baseline["errors"]
    assert "the champion's baseline contains no calibration" in world.watch(rows)["estimate"]["sentence"]
    assert world.watch(make_events(start="2020-06-01", days=30))["errors"]["verdict"] == "cannot tell"


def test_regression_has_no_estimate_and_its_residuals_are_compared(
    tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]
) -> None:
    def rows(**more: Any) -> pd.DataFrame:
        made = make_events(**more)
        return made.assign(rain=made["temperature"] * 2 + np.random.default_rng(9).normal(0, 0.5, len(made)))

    model = make_model("regressor", rows(days=120, seed=1), fit_end=CUT, task="regression")
    world = World(tmp_path, model, rows(days=100, seed=2), metric="neg_mean_absolute_error")
    estimate = world.watch(without_labels(rows(start="2020-06-01", days=30)))["estimate"]
    assert (estimate["available"], "a regression model provides no probabilities" in estimate["sentence"]) == (False, True)
    same = world.watch(rows(start="2020-06-01", days=60, seed=4))["errors"]
    assert (same["verdict"], same["measure"]) == ("unchanged", "residual")
    moved = rows(start="2020-06-01", days=60, seed=4)
    found = world.watch(moved.assign(rain=moved["rain"] + 3))
    assert (found["verdict"], found["errors"]["verdict"], found["errors"]["worse"]) == ("degraded", "changed", True)
    assert "The champion's errors have become larger (severe, mean distance from the label 0.4" in found["errors"]["sentence"]


def test_errors_grow_when_the_relation_changes_and_not_when_the_inputs_move(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    quiet = world.watch(make_events(start="2020-06-01", days=60, seed=5))["errors"]
    assert (quiet["verdict"], quiet["measure"]) == ("unchanged", "log loss")
    turned = world.watch(make_events(start="2020-06-01", days=60, seed=5, flip=True))["errors"]
    assert (turned["verdict"], turned["worse"], turned["severity"]) == ("changed", True, "severe")
    assert sum(turned["now"]) == 240
    assert turned["sentence"] in world.page()


def test_the_worst_slice_is_named_with_its_interval(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-06-01", days=60, seed=5)
    rows["rain"] = np.where((rows["city"] == "Oslo") & (np.arange(len(rows)) % 2 == 0), 1 - rows["rain"], rows["rain"])
    policy = "{performance: {slices: [{column: city}, {where: 'temperature > 50'}], slice_minimum_rows: 40}}"
    found = world.watch(rows, policy_config=policy)
    worst = found["worst_slice"]
    assert worst["name"] == "city = Oslo"
    assert worst["lower"] < worst["score"] < worst["upper"] < found["score"]
    assert [part["verdict"] for part in found["slices"]].count("too few rows") == 1
    assert "The worst slice is city = Oslo: accuracy is " in world.page()
    few = world.watch(rows, policy_config="{performance: {slices: [{column: city}], slice_minimum_rows: 200}}")
    assert few["worst_slice"] is None
    assert "No slice has enough rows to be scored." in world.page()


@pytest.mark.parametrize(
    ("policy", "error", "message"),
    [
        (
            "{performance: {slices: [{column: country}]}}",
            PerformanceError,
            "performance.slices: Unknown column 'country'",
        ),
        ("{performance: {slices: [{where: 'temperature >'}]}}", PerformanceError, "policy_config: performance.slices: 'temperature >' cannot be evaluated"),
        ("{performance: {slices: [{column: city, margin: 0.1}]}}", PolicyError, "slice 'city' has a margin, which only the gate supports"),
        ("{performance: {estimate: maybe}}", PolicyError, "performance.estimate is 'maybe'"),
        ("{performance: {margin: -1}}", PolicyError, "performance.margin is -1"),
        ("{performance: {speed: 3}}", PolicyError, "Unknown setting 'performance.speed'"),
    ],
)
def test_wrong_settings_are_named(world: World, make_events: Callable[..., pd.DataFrame], policy: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        world.watch(make_events(start="2020-06-01", days=30), policy_config=policy)
    assert not (world.folder / "result").exists()


def test_the_policy_sets_the_margin_and_the_parameter_wins(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    turned = make_events(start="2020-06-01", days=30, flip=True)
    assert world.watch(turned)["verdict"] == "degraded"
    wide = "{performance: {margin: 0.99, minimum_rows: 50}}"
    assert (world.watch(turned, policy_config=wide)["verdict"], world.watch(turned, policy_config=wide)["margin"]) == ("holds", 0.99)
    assert world.watch(turned, policy_config=wide, margin=0.1)["verdict"] == "degraded"
    assert world.watch(turned.head(40), policy_config=wide)["verdict"] == "cannot tell"
    assert world.watch(turned.head(40), policy_config=wide, minimum_rows=30)["verdict"] == "holds"


def logged(world: World, rows: pd.DataFrame, labels: pd.DataFrame) -> str:
    """Predict rows, join labels, and return where the result lies."""
    folder = world.folder
    rows.to_parquet(folder / "asked", index=False)
    labels.to_parquet(folder / "labels", index=False)
    log, joined = (dsl.Dataset(name=name, uri=str(folder / name), metadata={}) for name in ("log", "joined"))
    metrics = dsl.Metrics(name="m", uri=str(folder / "m"), metadata={})
    data = dsl.Dataset(name="a", uri=str(folder / "asked"), metadata={})
    batch_predict.python_func(
        model=world.model, data=data, prediction_log=log, metrics=metrics, key_column="id", timestamp_column="time", predicted_at="event_time"
    )
    join_labels.python_func(
        prediction_log=log,
        labels=dsl.Dataset(name="l", uri=str(folder / "labels"), metadata={}),
        labelled_data=joined,
        join_result=dsl.Artifact(name="j", uri=str(folder / "j"), metadata={}),
        join_report=dsl.HTML(name="h", uri=str(folder / "h"), metadata={}),
        metrics=metrics,
        key_column="id",
        label_time_column="known_at",
        **COLUMNS,
    )
    return joined.path


def test_logged_predictions_score_as_the_champion_would(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-06-01", days=60, seed=5).assign(id=lambda frame: range(len(frame)))
    labels = rows[["id", "rain"]].assign(known_at=rows["time"] + pd.Timedelta(days=3))
    path = logged(world, rows.drop(columns="rain"), labels)
    asked, said = world.watch(rows), world.watch(path, predictions="logged")
    told = ("verdict", "score", "lower", "upper", "rows", "errors")
    assert {name: said[name] for name in told} == {name: asked[name] for name in told}
    assert (said["predictions"], said["unlike"]["verdict"]) == ("logged", "nothing to compare")
    assert "Predictions were taken from the log." in world.page()


def test_logged_rows_without_labels_are_estimated_and_compared(world: World, make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-06-01", days=100, seed=5).assign(id=lambda frame: range(len(frame)))
    warm = rows["temperature"] > 0
    path = logged(world, rows.drop(columns="rain"), rows.loc[~warm, ["id", "rain"]].assign(known_at=rows["time"]))
    found = world.watch(path, predictions="logged")
    assert (found["rows"], found["rows_unlabelled"]) == (int((~warm).sum()), int(warm.sum()))
    assert found["unlike"]["verdict"] == "different"
    assert "temperature" in found["unlike"]["sentence"]
    assert found["estimate"]["rows"] == int(warm.sum())
    world.model.metadata["version"] = "4"
    other = world.watch(path, predictions="logged")
    assert (other["verdict"], other["rows_other_versions"]) == ("cannot tell", 400)
    with pytest.raises(PerformanceError, match="predictions 'logged': the current data contains no logged predictions"):
        world.watch(rows, predictions="logged")
    with pytest.raises(PerformanceError, match=r"Unknown predictions 'often'. Valid values: champion, logged"):
        world.watch(rows, predictions="often")


def test_one_class_only_and_an_undefined_metric_cannot_tell_and_are_estimated(
    tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]
) -> None:
    world = World(tmp_path, make_model("champion", make_events(days=120, seed=1), fit_end=CUT), make_events(days=150, seed=2), metric="roc_auc")
    found = world.watch(make_events(start="2020-06-01", days=30).assign(rain=1))
    assert (found["verdict"], found["estimate"]["available"]) == ("cannot tell", True)
    assert "metric 'roc_auc': not defined on these 120 rows, whose labels are: 1" in found["sentence"]
    assert found["estimate"]["score"] > 0.9


def test_a_metric_of_the_users_own_is_watched(
    tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "umbrellas.py").write_text(
        "def saved(labels, predicted, *, probabilities, classes):\n    return 5.0 * (labels == predicted).mean() - 2.0 * predicted.mean()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    model = make_model("champion", make_events(days=120, seed=1), fit_end=CUT)
    world = World(tmp_path, model, make_events(days=150, seed=2), metric="umbrellas:saved")
    found = world.watch(make_events(start="2020-06-01", days=60, seed=5))
    assert (found["verdict"], found["metric"]) == ("holds", "umbrellas:saved")
    assert world.watch(make_events(start="2020-06-01", days=60, seed=5, flip=True))["verdict"] == "degraded"
    estimate = world.watch(without_labels(make_events(start="2020-06-01", days=60)))["estimate"]
    assert "umbrellas:saved is a custom function" in estimate["sentence"]
