"""Whether a new model would be better than the champion, and since when the champion's errors differ."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.metrics.scoring import resolve_metric
from evergreen.performance import probe as probing
from evergreen.performance.monitoring import WatchedColumns, monitor_rows
from evergreen.performance.probe import FEWEST_PROBED_ROWS, WINDOWS, ProbeRequest, run_probe
from evergreen.performance.probed_rows import OlderRows
from evergreen.performance.settings import PerformanceSettings, ProbeSettings
from evergreen.performance.watched_rows import asked_now
from evergreen.results.baseline import Baseline
from evergreen.training.recipe import AUTOMATIC
from support.turning_streams import TURN, fitted, recipe_of, rows_of, stream

if TYPE_CHECKING:
    from evergreen.models.fitted import FittedModel
    from evergreen.results.performance import PerformanceResult, Probe

SEEN_UNTIL = pd.Timestamp("2020-09-01", tz="UTC")
TURNED = pd.Timestamp(TURN, tz="UTC")


def asked(frame: pd.DataFrame, *, model: FittedModel | None = None, task: str = "classification", metric: str = "auto", **settings: Any) -> ProbeRequest:
    """Return a request about the rows from September on, with a champion of the rows before."""
    champion = model or fitted(rows_of(frame), recipe_of(task))
    new, older = (frame[part].reset_index(drop=True) for part in (frame["time"] >= SEEN_UNTIL, frame["time"] < SEEN_UNTIL))
    chosen = ProbeSettings(**settings)
    return ProbeRequest(asked_now(champion), new, older, len(new), "rain", "time", resolve_metric(metric, task), chosen, 7)


def probed(frame: pd.DataFrame, **more: Any) -> Probe:
    return run_probe(asked(frame, **more))


@pytest.mark.parametrize(("task", "kind"), [("classification", "binary"), ("classification", "three"), ("regression", "regression")])
def test_after_a_turn_a_model_of_the_newest_rows_is_better(task: str, kind: str) -> None:
    found = probed(stream(days=330, task=kind), task=task)
    assert found.verdict == "better"
    assert found.best is not None
    assert found.champion_score is not None
    assert found.best.score is not None
    assert found.best.gain == pytest.approx(found.best.score - found.champion_score)
    assert found.best.gain_lower is not None
    assert found.minimum_gain is not None
    assert found.best.gain >= found.minimum_gain
    assert 0 < found.best.gain_lower < found.best.gain
    assert len(found.models) <= WINDOWS
    assert [model.rows for model in found.models] == sorted({model.rows for model in found.models})
    shown = (f"would score {found.best.score:.3g} in {found.metric} on the newest {found.rows} rows", f"the champion scores {found.champion_score:.3g}.")
    assert all(words in found.sentence for words in shown)
    assert found.best.name in found.sentence


def test_the_models_have_not_seen_the_rows_that_they_are_compared_on(monkeypatch: pytest.MonkeyPatch) -> None:
    newest: list[pd.Timestamp] = []
    original = probing.fit_part

    def observed(rows: Any, recipe: Any, **named: Any) -> Any:
        newest.append(rows.times.iloc[named["before"] - 1])
        return original(rows, recipe, **named)

    monkeypatch.setattr(probing, "fit_part", observed)
    found = probed(stream(days=330))
    assert len(newest) == len(found.models)
    assert max(newest) < pd.Timestamp(found.start)


def test_of_equal_models_hardly_any_is_called_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "RESAMPLES", 300)
    repeats, alarms = 40, 0
    allowed = ProbeSettings().false_alarms
    for seed in range(repeats):
        frame = stream(days=290, per_day=4, turn=None, seed=seed)
        # A coin: no model knows more than another, and however small a gain, it counts.
        frame["rain"] = np.random.default_rng(seed).integers(0, 2, len(frame))
        found = probed(frame, minimum_gain_share=0.0001, most_probed_rows=60, most_fitted_rows=500)
        assert found.verdict in ("better", "no better")
        alarms += found.verdict == "better"
    assert alarms <= repeats * allowed + 3 * np.sqrt(repeats * allowed * (1 - allowed))


def test_when_nothing_changed_no_model_is_better_and_the_sentence_says_by_how_much() -> None:
    found = probed(stream(days=330, turn=None))
    assert found.verdict == "no better"
    assert found.minimum_gain is not None
    assert f"so a new model would be no better by the {found.minimum_gain:.2g} that matters" in found.sentence
    assert found.best is not None


@pytest.mark.parametrize("rows", [1, 2 * FEWEST_PROBED_ROWS - 1])
def test_too_few_new_rows_cannot_tell(rows: int) -> None:
    request = asked(stream(days=330))
    found = run_probe(replace(request, new_rows=request.new_rows.head(rows), window_rows=rows))
    assert (found.verdict, found.models, found.best) == ("cannot tell", [], None)
    assert f"{rows} labelled rows are newer than the champion; at least {2 * FEWEST_PROBED_ROWS} are required" in found.sentence
    enough = run_probe(replace(request, new_rows=request.new_rows.head(2 * FEWEST_PROBED_ROWS), window_rows=2 * FEWEST_PROBED_ROWS))
    assert enough.verdict != "cannot tell"


def test_the_recipe_is_the_champions(monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = []
    original = probing.fit_part

    def observed(rows: Any, recipe: Any, **named: Any) -> Any:
        recipes.append(recipe)
        return original(rows, recipe, **named)

    monkeypatch.setattr(probing, "fit_part", observed)
    frame = stream(days=330)
    recipe = recipe_of(
        estimator="sklearn.tree.DecisionTreeClassifier", hyperparameters={"max_depth": 3}, options={"recency_half_life_days": 50.0, "sample_rows": 100}
    )
    probed(frame, model=fitted(rows_of(frame), recipe))
    assert {(one.estimator, str(one.hyperparameters), str(one.options)) for one in recipes} == {
        ("sklearn.tree.DecisionTreeClassifier", "{'max_depth': 3}", "{'recency_half_life_days': 50.0}")
    }


def test_a_champion_that_is_a_constant_is_compared_with_models_that_can_learn() -> None:
    frame = stream(days=330, turn=None)
    constant = fitted(rows_of(frame), recipe_of(estimator="sklearn.dummy.DummyClassifier", hyperparameters={"strategy": "prior"}))
    described = replace(constant.description, origin="constant baseline")
    found = probed(frame, model=replace(constant, description=described))
    assert found.verdict == "better"
    # A user who chose a constant as the estimator is taken at their word.
    assert probed(frame, model=constant).verdict == "no better"
    assert AUTOMATIC["classification"] != constant.description.estimator


@pytest.mark.parametrize(
    ("metric", "kind", "expected"),
    [("roc_auc", "binary", 0.02), ("accuracy", "binary", 0.02), ("r2", "regression", 0.04), ("neg_mean_absolute_error", "regression", None)],
)
def test_the_gain_that_matters_is_a_share_of_what_can_be_gained(metric: str, kind: str, expected: float | None) -> None:
    frame = stream(days=330, task=kind)
    task = "regression" if kind == "regression" else "classification"
    found = probed(frame, task=task, metric=metric, minimum_gain_share=0.04)
    newest = frame["rain"].tail(found.rows)
    if metric == "accuracy":
        expected = 0.04 * min(newest.mean(), 1 - newest.mean())
    elif expected is None:
        expected = 0.04 * float(np.abs(newest - newest.median()).mean())
    assert found.minimum_gain == pytest.approx(expected, rel=1e-6)
    assert probed(frame, task=task, metric=metric, minimum_gain_share=0.08).minimum_gain == pytest.approx(2 * expected, rel=1e-6)
    assert probed(frame, task=task, metric=metric, minimum_gain=0.5).minimum_gain == 0.5


def test_a_gain_that_does_not_matter_is_none() -> None:
    assert probed(stream(days=330), minimum_gain=0.999).verdict == "no better"


def test_a_metric_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "own_metric_of_the_probe.py").write_text(
        "def share(labels, predicted, *, probabilities, classes):\n    return float((labels == predicted).mean())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    frame = stream(days=330)
    found, usual = probed(frame, metric="own_metric_of_the_probe:share"), probed(frame, metric="accuracy")
    assert found.verdict == "better"
    assert found.champion_score == usual.champion_score
    assert found.minimum_gain == pytest.approx(usual.minimum_gain)


def test_one_class_in_the_probed_rows_cannot_be_told_by_a_metric_that_needs_two() -> None:
    frame = stream(days=330)
    frame.loc[frame["time"] >= pd.Timestamp("2020-10-20", tz="UTC"), "rain"] = 1
    found = probed(frame, metric="roc_auc", most_probed_rows=50)
    assert (found.verdict, found.models) == ("cannot tell", [])
    assert "roc_auc" in found.sentence
    assert probed(frame, metric="accuracy", most_probed_rows=50).verdict in ("better", "no better")


def test_windows_of_one_class_are_left_out_and_the_others_compared() -> None:
    frame = stream(days=330)
    before = (frame["time"] >= pd.Timestamp("2020-10-25", tz="UTC")) & (frame["time"] < pd.Timestamp("2020-11-18", tz="UTC"))
    frame.loc[before, "rain"] = 1
    found = probed(frame, most_probed_rows=50)
    assert any(model.score is None for model in found.models)
    assert any(model.score is not None for model in found.models)
    assert found.best is not None


def test_rows_without_a_feature_cannot_be_told() -> None:
    request = asked(stream(days=330))
    found = run_probe(replace(request, new_rows=request.new_rows.drop(columns="a")))
    assert (found.verdict, "the rows lack the feature 'a'" in found.sentence) == ("cannot tell", True)
    # Older rows without it are left out.
    assert run_probe(replace(request, older_rows=request.older_rows.drop(columns="a"))).verdict == "better"


def test_without_older_rows_the_new_ones_do() -> None:
    request = asked(stream(days=330))
    found = run_probe(replace(request, older_rows=None))
    assert found.verdict == "better"
    assert max(model.rows for model in found.models) == len(request.new_rows) - found.rows


def test_rows_of_one_time_are_not_divided() -> None:
    frame = stream(days=330, per_day=60, ties=60)
    request = asked(frame)
    last = frame[frame["time"] == frame["time"].max()].reset_index(drop=True)
    assert len(last) == 60
    day = pd.concat([last] * 3, ignore_index=True)
    found = run_probe(replace(request, new_rows=day, window_rows=len(day)))
    assert found.rows == len(day)
    alone = run_probe(replace(request, new_rows=day, older_rows=None, window_rows=len(day)))
    assert alone.verdict == "cannot tell"
    assert "none of the 180 labelled rows is older than the newest ones" in alone.sentence


def test_limits_are_kept() -> None:
    found = probed(stream(days=330, per_day=20), most_probed_rows=60, most_fitted_rows=150)
    assert found.rows == 60
    assert max(model.rows for model in found.models) <= 150


def test_the_same_rows_give_the_same_probe_and_stay_as_they_are() -> None:
    request = asked(stream(days=330))
    before = request.new_rows.copy()
    assert run_probe(request) == run_probe(request)
    pd.testing.assert_frame_equal(request.new_rows, before)


def monitored(frame: pd.DataFrame, *, model: FittedModel | None = None, score: float = 0.9, since: str = "2020-10-15", **probe: Any) -> PerformanceResult:
    """Monitor the rows of the newest window, with older ones at hand."""
    champion = model or fitted(rows_of(frame), recipe_of())
    baseline = Baseline(metric="accuracy", score=score, lower=score - 0.03, upper=score + 0.03)
    start = pd.Timestamp(since, tz="UTC")
    older = OlderRows(frame[(frame["time"] >= SEEN_UNTIL) & (frame["time"] < start)], frame[frame["time"] < SEEN_UNTIL])
    window = frame[frame["time"] >= start].reset_index(drop=True)
    settings = PerformanceSettings(probe=ProbeSettings(**probe))
    end = (frame["time"].max() + pd.Timedelta(hours=1)).isoformat()
    return monitor_rows(champion, baseline, window, window_end=end, columns=WatchedColumns("rain", "time"), settings=settings, seed=7, older=older)


def test_the_time_of_the_change_is_that_of_a_row_of_an_earlier_window() -> None:
    result = monitored(stream(days=330))
    assert (result.verdict, result.probe is not None and result.probe.verdict) == ("degraded", "better")
    assert abs(pd.Timestamp(result.changed_at) - TURNED) < pd.Timedelta(days=2)
    assert result.rows_since_change == pytest.approx(56 * 6, abs=12)


def test_a_champion_that_holds_has_no_time_of_change() -> None:
    result = monitored(stream(days=330, turn=None))
    assert (result.verdict, result.changed_at, result.rows_since_change) == ("holds", "", 0)


def test_a_champion_that_is_wrong_on_all_new_rows_changed_at_the_first_of_them() -> None:
    result = monitored(stream(days=330, turn="2020-09-01"))
    assert result.verdict == "degraded"
    assert pd.Timestamp(result.changed_at) == SEEN_UNTIL
    assert result.rows_since_change == (pd.Timestamp("2020-11-26", tz="UTC") - SEEN_UNTIL).days * 6


def test_the_probe_can_be_switched_off() -> None:
    result = monitored(stream(days=330), run=False)
    assert result.probe is None
    # Since when a degraded champion is wrong is told all the same.
    assert result.changed_at


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_times_of_another_zone_change_nothing(zone: str) -> None:
    frame = stream(days=330)
    model = fitted(rows_of(frame), recipe_of())
    moved = frame.assign(time=frame["time"].dt.tz_convert(zone))
    assert monitored(moved, model=model) == monitored(frame, model=model)


def test_a_window_in_which_no_row_has_a_label_is_not_probed() -> None:
    frame = stream(days=330)
    frame["rain"] = frame["rain"].astype("float64").mask(frame["time"] >= pd.Timestamp("2020-10-15", tz="UTC"))
    result = monitored(frame, model=fitted(rows_of(stream(days=330)), recipe_of()))
    assert (result.verdict, result.probe, result.changed_at) == ("cannot tell", None, "")


def test_labels_that_are_late_for_half_of_the_rows_leave_the_others_to_tell() -> None:
    frame = stream(days=330)
    model = fitted(rows_of(frame), recipe_of())
    late = (frame["time"] >= TURNED) & (np.arange(len(frame)) % 2 == 0)
    frame["rain"] = frame["rain"].astype("float64").mask(late)
    result = monitored(frame, model=model)
    assert result.probe is not None
    assert result.probe.verdict == "better"
    assert result.rows_since_change == pytest.approx(28 * 6, abs=12)


def test_logged_predictions_are_those_that_count() -> None:
    from evergreen.performance.label_join import LOGGED
    from evergreen.performance.prediction_log import MODEL_VERSION, PREDICTION, PROBABILITY
    from evergreen.performance.watched_rows import as_logged

    frame = stream(days=330)
    model = fitted(rows_of(frame), recipe_of())
    request = asked(frame, model=model)
    sure = np.asarray(model.predict_probability(request.new_rows))
    columns = {f"{LOGGED}{PREDICTION}": model.predict(request.new_rows), f"{LOGGED}{MODEL_VERSION}": "3"}
    columns |= {f"{LOGGED}{PROBABILITY}{value}": sure[:, place] for place, value in enumerate(model.description.classes)}
    logged = replace(request, watched=as_logged(model.description, "3"), new_rows=request.new_rows.assign(**columns))
    assert run_probe(logged) == run_probe(request)
    # Whatever was answered then counts, not what the model would answer now.
    right = request.new_rows["rain"].to_numpy()
    columns[f"{LOGGED}{PREDICTION}"] = right
    columns |= {f"{LOGGED}{PROBABILITY}{value}": (right == value).astype(float) for value in model.description.classes}
    found = run_probe(replace(logged, new_rows=request.new_rows.assign(**columns)))
    assert (found.verdict, found.champion_score) == ("no better", 1.0)


def test_settings_out_of_range_are_named() -> None:
    from evergreen.errors import PolicyError
    from evergreen.policy.policy_file import read_policy

    wrong = {"minimum_gain": 0, "minimum_gain_share": 1.5, "false_alarms": 0.5, "most_probed_rows": 10, "most_fitted_rows": 5, "run": "perhaps"}
    for name, value in wrong.items():
        with pytest.raises(PolicyError, match=rf"performance\.probe\.{name} is '?{value}"):
            read_policy(f"performance: {{probe: {{{name}: {value}}}}}")
