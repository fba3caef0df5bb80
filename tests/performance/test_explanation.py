"""How much of a loss the inputs' drift explains, and how much is a changed relation between inputs and label."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from google.protobuf.json_format import MessageToDict

from evergreen.data.artifacts import ModelDescription
from evergreen.data.json_values import plain
from evergreen.drift.detection import profile_dataset
from evergreen.drift.profile.file import write_profile
from evergreen.evaluation.holdout_rows import predictions_of
from evergreen.metrics.prediction_errors import summarise_errors
from evergreen.metrics.predictions import Predictions
from evergreen.metrics.scoring import bootstrap_interval, resolve_metric
from evergreen.models.fitted import FittedModel
from evergreen.performance import explanation
from evergreen.performance.draw_scores import draw_scores
from evergreen.performance.explanation import out_of_sample, with_explanation
from evergreen.performance.importance_weights import importance_weights
from evergreen.performance.monitoring import WatchedColumns, monitor_rows
from evergreen.performance.report import performance_page
from evergreen.performance.settings import PerformanceSettings
from evergreen.pipeline.loading import load_pipeline
from evergreen.policy.diagnosis import what_moved
from evergreen.reporting.page import format_number
from evergreen.results.baseline import Baseline
from evergreen.results.drift import DriftResult, FeatureDrift, FeatureMeasurement
from evergreen.results.performance import PerformanceResult
from evergreen.training.fit import fit_recipe
from evergreen.training.recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.results.performance import LossExplanation

FEATURES = {"a": "number", "b": "number", "season": "number", "town": "category"}
IMPORTANCES = {"a": 0.2, "b": 0.1, "season": 0.0125, "town": 0.0}


def rows(count: int, seed: int, *, shift: float = 0.0, season: float = 0.0, turn: float = 0.0, start: str = "2022-01-01") -> pd.DataFrame:
    """Return rows whose label is nearly random where ``a`` is above 1, so that a shift of ``a`` costs score; ``turn`` turns the relation round."""
    random = np.random.default_rng(seed)
    a, b = random.normal(shift, 1, count), random.normal(0, 1, count)
    signal = (1.5 * a - 1.5 * b) * np.where(a > 1, 0.2, 1.6) * (1 - 2 * turn)
    frame = pd.DataFrame({"a": a, "b": b, "season": random.normal(season, 1, count), "town": random.choice(["Bonn", "Oslo"], count)})
    frame["t"] = pd.date_range(start, periods=count, freq="15min", tz="UTC")
    return frame.assign(y=(random.random(count) < 1 / (1 + np.exp(-signal))).astype(int), amount=signal + random.normal(0, 1, count))


class World:
    """A champion, its baseline and its reference data."""

    def __init__(self, folder: Path, *, metric: str = "roc_auc", estimator: str = "sklearn.ensemble.HistGradientBoostingClassifier") -> None:
        task = "regression" if metric.startswith("neg_mean_abs") else "classification"
        target, classes = ("amount", []) if task == "regression" else ("y", [0, 1])
        given = {"max_iter": 40} if "HistGradient" in estimator else {}
        known, held = rows(4000, 1, start="2020-01-01"), rows(3000, 2, start="2021-01-01")
        fit = fit_recipe(Recipe(task, estimator, given, 7), known, target_column=target, features=FEATURES, classes=classes)
        description = ModelDescription(
            task, target, "t", FEATURES, classes, "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z", 4000, estimator, given, 7, "", "c0ffee", IMPORTANCES
        )
        self.model = FittedModel(fit.pipeline, description)
        said = predictions_of(self.model, held, target_column=target)
        interval = bootstrap_interval(resolve_metric(metric, task), said)
        self.baseline = Baseline(metric=metric, score=interval.score, lower=interval.lower, upper=interval.upper, errors=summarise_errors(said))
        known.to_parquet(folder / "reference", index=False)
        self.reference = SimpleNamespace(path=str(folder / "reference"), metadata={"present": True})

    @property
    def description(self) -> ModelDescription:
        return self.model.description

    def measured(self, window: pd.DataFrame) -> PerformanceResult:
        columns = WatchedColumns(self.description.target_column, "t")
        return monitor_rows(self.model, self.baseline, window, window_end=None, columns=columns, settings=PerformanceSettings(), seed=7)

    def explained(self, window: pd.DataFrame, reference: Any = "own", **changes: Any) -> LossExplanation | None:
        given = self.reference if reference == "own" else reference
        return with_explanation(self.measured(window), window, replace(self.description, **changes), given, seed=7).explained


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"))


TURNED = rows(1000, 3, season=1.0, turn=0.5)


@pytest.fixture(scope="module")
def turned(world: World) -> PerformanceResult:
    """The result of a window in which the relation turned, and one unimportant feature followed the season."""
    return with_explanation(world.measured(TURNED), TURNED, world.description, world.reference, seed=7)


def test_a_turned_relation_is_not_blamed_on_a_feature_that_follows_the_season(turned: PerformanceResult) -> None:
    found = turned.explained
    assert found is not None
    assert (found.verdict, found.measure) == ("relation", "score")
    assert abs(found.explained or 1.0) < 0.02
    assert (found.unexplained or 0.0) == pytest.approx((found.loss or 0.0) - (found.explained or 0.0))
    assert found.loss == turned.drop
    assert f"The score fell by {found.loss:.2f} since promotion; the inputs' drift explains " in found.sentence
    assert found.sentence.endswith("so the relation between inputs and label changed (concept drift).")
    assert found.features == 3, "a feature without importance only makes the weights less certain"


def test_a_shift_to_rows_that_are_harder_explains_the_loss(world: World) -> None:
    found = world.explained(rows(1000, 4, shift=1.0))
    assert found is not None
    assert found.verdict == "inputs"
    assert found.explained == pytest.approx(found.loss, abs=0.05)
    # The rows of the window are known here, so the truth is: what the champion loses on other rows of the same kind.
    truth = (world.baseline.score or 0.0) - (world.measured(rows(20_000, 5, shift=1.0)).score or 0.0)
    assert (found.explained_lower or 0.0) < truth < (found.explained_upper or 0.0)
    assert found.sentence.endswith("the relation between inputs and label need not have changed (covariate shift).")


def test_when_both_changed_both_numbers_are_named(world: World) -> None:
    found = world.explained(rows(2500, 6, shift=0.9, turn=0.4))
    assert found is not None
    assert found.verdict == "both"
    assert f"explains {found.explained:.2f} of it, and {found.unexplained:.2f} remain" in found.sentence


@pytest.mark.parametrize("shift", [4.0, 8.0])
def test_inputs_that_the_reference_does_not_hold_cannot_be_weighted(world: World, shift: float) -> None:
    found = world.explained(rows(1000, 7, shift=shift, turn=0.5))
    assert found is not None
    assert (found.verdict, found.explained) == ("cannot tell", None)
    assert "reference" in found.reason
    assert found.sentence == f"Cannot tell how much of the loss the inputs' drift explains, because {found.reason}."


def test_a_quiet_window_computes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explanation, "_explain", lambda *_, **__: pytest.fail("a model was fitted on a quiet day"))
    quiet = rows(1000, 8)
    assert world.measured(quiet).verdict == "holds"
    assert world.explained(quiet) is None
    assert world.explained(rows(10, 8)) is None, "too few rows to score are no loss"


def test_larger_errors_without_a_loss_of_score_are_explained_in_their_own_unit(tmp_path: Path) -> None:
    accuracy = World(tmp_path, metric="accuracy")
    window = rows(400, 9, shift=0.8)
    measured = replace(accuracy.measured(window), verdict="holds")
    assert measured.errors is not None
    assert (measured.errors.verdict, measured.errors.worse) == ("changed", True)
    found = with_explanation(measured, window, accuracy.description, accuracy.reference, seed=7).explained
    assert found is not None
    assert (found.measure, found.verdict) == ("mean log loss", "inputs")
    assert found.loss == pytest.approx((measured.errors.mean_now or 0.0) - (measured.errors.mean_before or 0.0))
    assert found.sentence.startswith("The mean log loss rose by ")


def test_a_regression_is_explained_in_the_unit_of_its_label(tmp_path: Path) -> None:
    amounts = World(tmp_path, metric="neg_mean_absolute_error", estimator="sklearn.ensemble.HistGradientBoostingRegressor")
    found = amounts.explained(rows(1000, 10, turn=0.5))
    assert found is not None
    assert found.verdict == "relation"
    assert (found.loss or 0.0) > 0.5
    assert abs(found.explained or 1.0) < 0.1


def test_the_pipeline_hands_over_the_reference(repository: Path) -> None:
    spec = MessageToDict(load_pipeline(repository / "pipelines" / "continuous_retraining.py").pipeline_spec)
    tasks = {name: task for part in spec["components"].values() for name, task in part.get("dag", {}).get("tasks", {}).items()} | spec["root"]["dag"]["tasks"]
    given = tasks["monitor-performance"]["inputs"]["artifacts"]["reference_data"]["taskOutputArtifact"]
    assert given == {"producerTask": "load-champion", "outputArtifactKey": "reference_data"}


def profile_only(folder: Path) -> Any:
    write_profile(profile_dataset(folder / "reference", ignored_columns=["y", "t", "amount"]), folder / "profile")
    return SimpleNamespace(path=str(folder / "profile"), metadata={"present": True})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (None, "the champion's reference data was not given"),
        ("absent", "the champion's reference data was not given"),
        ("profile", "of the champion's reference data only the profile is known, and labels are needed"),
        ({"columns": ["a", "b", "season", "town", "t"]}, "the champion's reference data has no column 'y'"),
        ({"rows": 150}, "150 labelled reference rows are too few; 200 are needed"),
        ({"unlabelled": 3900}, "100 labelled reference rows are too few; 200 are needed"),
        ({"one class": True}, "no model of the champion's recipe could be fitted on part of the reference"),
    ],
    ids=["none", "absent", "profile", "no label column", "few rows", "few labels", "one class"],
)
def test_what_is_missing_is_said(world: World, tmp_path: Path, change: Any, reason: str) -> None:
    known = pd.read_parquet(world.reference.path)
    given = SimpleNamespace(path=str(tmp_path / "reference"), metadata={"present": change != "absent"})
    if isinstance(change, dict):
        known = known[change.get("columns", list(known.columns))].head(change.get("rows", len(known)))
        if "unlabelled" in change:
            known["y"] = known["y"].where(np.arange(len(known)) >= change["unlabelled"])
        if "one class" in change:
            known["y"] = 1
    known.to_parquet(tmp_path / "reference", index=False)
    reference = profile_only(tmp_path) if change == "profile" else None if change is None else given
    found = world.explained(rows(1000, 3, turn=0.5), reference)
    assert found is not None
    assert (found.verdict, found.explained) == ("cannot tell", None)
    assert found.reason.startswith(reason)
    assert found.loss is not None


def test_few_rows_and_rows_without_features_cannot_tell(world: World) -> None:
    few = rows(45, 3, turn=1.0)
    found = world.explained(few)
    assert found is not None
    assert found.reason == "45 scored rows are too few; 50 are needed"
    logged = rows(1000, 3, turn=1.0)
    told = with_explanation(world.measured(logged), logged.drop(columns="b"), world.description, world.reference, seed=7).explained
    assert told is not None
    assert told.reason == "the scored rows lack the feature 'b'"


def test_a_trainer_of_the_users_own_is_stood_in_for(world: World) -> None:
    known = pd.read_parquet(world.reference.path).head(600)
    said = out_of_sample(known, replace(world.description, estimator="my_trainers:network", hyperparameters={"layers": 3}))
    assert said.probabilities is not None
    assert said.probabilities.sum(axis=1) == pytest.approx(np.ones(600))
    assert resolve_metric("roc_auc", "classification").score_rows(said) > 0.7


@pytest.mark.parametrize(
    ("estimator", "hyperparameters", "reason"),
    [
        ("nowhere.Model", {}, "cannot import module 'nowhere'"),
        ("sklearn.linear_model.LogisticRegression", {"penalties": 1}, "Unknown hyperparameter 'penalties'"),
    ],
)
def test_a_recipe_that_cannot_be_fitted_here_stops_no_run(world: World, estimator: str, hyperparameters: dict[str, Any], reason: str) -> None:
    found = world.explained(rows(1000, 3, turn=0.5), estimator=estimator, hyperparameters=hyperparameters)
    assert found is not None
    assert found.verdict == "cannot tell"
    assert reason in found.reason


def test_no_row_is_predicted_by_a_model_that_was_fitted_on_it(world: World) -> None:
    # A tree without limits repeats every label that it has seen, so labels by chance are predicted by chance only if no row was seen.
    chance = pd.read_parquet(world.reference.path).head(1500)
    chance["y"] = np.random.default_rng(1).integers(0, 2, len(chance))
    tree = replace(world.description, estimator="sklearn.tree.DecisionTreeClassifier", hyperparameters={})
    said = out_of_sample(chance, tree)
    assert float(np.mean(said.labels == said.predicted)) == pytest.approx(0.5, abs=0.06)


def test_weights_make_the_reference_look_like_the_window_and_are_equal_where_there_is_nothing_to_tell() -> None:
    known, moved, same = rows(4000, 1), rows(1500, 12, shift=0.8), rows(1500, 13)
    found = importance_weights(known, moved, FEATURES, seed=7)
    assert found.problem == ""
    assert np.average(known["a"], weights=found.weights) == pytest.approx(0.8, abs=0.12)
    assert np.average(known["b"], weights=found.weights) == pytest.approx(0.0, abs=0.12)
    assert found.effective_rows < 3500
    assert importance_weights(known, same, FEATURES, seed=7).effective_rows > 3900
    again = importance_weights(known, moved, FEATURES, seed=7)
    assert (again.weights == found.weights).all(), "the same rows and seed give the same weights"


def test_missing_values_and_new_categories_are_no_obstacle() -> None:
    known, window = rows(3000, 1), rows(1000, 2)
    known.loc[known.index[:300], "a"] = np.nan
    window.loc[window.index[:500], "a"] = np.nan
    window["town"] = window["town"].where(np.arange(1000) % 4 > 0, "Lima")
    found = importance_weights(known, window, {"a": "number", "b": "number", "town": "category"}, seed=7)
    # No reference row is of Lima, where a quarter of the window is.
    assert "lie outside the reference" in found.problem
    by_number = importance_weights(known, window, {"a": "number", "b": "number"}, seed=7)
    assert by_number.problem == ""
    assert np.average(known["a"].isna(), weights=by_number.weights) == pytest.approx(0.5, abs=0.07)


def drifted(*, weighted: bool = True, share: float = 0.04) -> DriftResult:
    feature = FeatureDrift(FeatureMeasurement("season"), drift=True, severity="severe")
    return DriftResult("drift", "slight", "", [feature], share, weighted_by_importance=weighted)


def test_the_diagnosis_weighs_the_inputs_by_importance_and_names_the_cause(world: World, turned: PerformanceResult) -> None:
    result = turned
    assert result.explained is not None
    said = what_moved(drifted(), result)
    assert said == f"Features with 4% of the importance to the champion changed. {result.explained.sentence}"
    assert what_moved(drifted(weighted=False), result) == f"The inputs changed. {result.explained.sentence}"
    assert what_moved(DriftResult("no drift"), result) == f"The inputs look the same. {result.explained.sentence}"
    assert what_moved(DriftResult("insufficient"), result) == result.explained.sentence
    unknown = with_explanation(world.measured(TURNED), TURNED, world.description, None, seed=7)
    assert what_moved(drifted(), unknown) == (
        "Features with 4% of the importance to the champion changed, and the model performs worse; it is unknown how much of the loss the inputs' drift "
        "explains, because the champion's reference data was not given."
    )
    assert what_moved(DriftResult("no drift"), unknown).endswith("the relation between inputs and label changed (concept drift).")


def test_the_page_shows_both_numbers_and_the_result_survives_json(turned: PerformanceResult) -> None:
    result = turned
    again = PerformanceResult.from_json(plain(asdict(result)), source="result")
    assert again.explained == result.explained
    assert result.explained is not None
    page = performance_page(result)
    for shown in ("Inputs, or their relation to the label", "Explained by the inputs&#39; drift", "Not explained by it", "look like 1,000 rows of the window"):
        assert shown in page
    for value in (result.explained.loss, result.explained.explained, result.explained.unexplained):
        assert format_number(value or 0.0) in page


@pytest.mark.parametrize("metric", ["roc_auc", "accuracy", "f1", "neg_log_loss", "average_precision"])
def test_draws_are_scored_as_the_metric_scores_them(metric: str) -> None:
    random = np.random.default_rng(4)
    probability = random.random(300).round(2)
    said = Predictions(random.integers(0, 2, 300), (probability > 0.5).astype(int), np.column_stack([1 - probability, probability]), [0, 1])
    draws = [random.choice(300, 120, p=np.full(300, 1 / 300)) for _ in range(5)]
    found = draw_scores(resolve_metric(metric, "classification"), said, draws)
    assert found == pytest.approx(resolve_metric(metric, "classification").resampled(said, draws), abs=1e-9)
