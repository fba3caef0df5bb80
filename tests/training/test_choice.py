"""What a challenger learns from, chosen among training windows, former champions and the constant baseline."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen.data.times import iso_time
from evergreen.metrics.predictions import ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.results.candidates import CandidateChoice
from evergreen.training.choice import candidates, choosing
from evergreen.training.choice.blocks import FEWEST_BLOCK_ROWS, MOST_BLOCK_ROWS, divide
from evergreen.training.choice.candidates import ChoiceRows, FormerChampion, trained_contenders
from evergreen.training.choice.choosing import Choice, ChoiceRequest, choose
from evergreen.training.errors import TrainingError
from evergreen.training.fit import accepts_weights
from evergreen.training.plan import planned
from evergreen.training.training_rows import label_classes
from support.turning_streams import TURN, fitted, recipe_of, rows_of, stream


def asked(
    frame: pd.DataFrame, *, task: str = "classification", estimator: str = "", recipe: Any = None, until: str = "2020-09-01", **more: Any
) -> ChoiceRequest:
    """Return a request with a champion that was fitted up to a time."""
    rows, recipe = rows_of(frame), recipe or recipe_of(task, estimator)
    classes = label_classes(rows.frame["rain"], task)[1]
    champion = more.pop("champion", None) or fitted(rows, recipe_of(task), until=until)
    metric = resolve_metric(more.pop("metric", "auto"), task)
    return ChoiceRequest(rows, recipe, classes, metric, champion, **more)


def made(request: ChoiceRequest) -> Choice:
    choice = choose(request)
    assert choice is not None
    return choice


def start_of(choice: Choice) -> pd.Timestamp:
    return pd.Timestamp(choice.told.chosen.start)


def test_after_a_turn_nothing_from_before_it_is_learned() -> None:
    frame = stream(days=330)
    choice = made(asked(frame))
    told = choice.told
    assert abs(pd.Timestamp(told.changed_at) - pd.Timestamp(TURN, tz="UTC")) < pd.Timedelta(days=3)
    assert start_of(choice) > pd.Timestamp(TURN, tz="UTC") - pd.Timedelta(days=2)
    assert told.chosen.origin == "trained"
    assert told.chosen.score is not None
    assert told.champion_score is not None
    assert told.chosen.gain == pytest.approx(told.chosen.score - told.champion_score)
    assert told.chosen.gain > 0.3
    assert told.rows_since_change == pytest.approx(56 * 6, abs=18)
    assert told.next_look_rows is not None
    assert told.next_look_rows > told.rows_since_change
    assert told.chosen.name in told.sentence
    assert told.chosen in told.candidates
    assert [item for item in told.candidates if not item.note] == [told.chosen]


def test_as_long_as_the_relation_holds_long_windows_are_chosen() -> None:
    shares = []
    for seed in range(5):
        told = made(asked(stream(turn=None, noise=1.5, seed=seed), until="2020-06-01")).told
        assert (told.changed_at, told.rows_since_change, told.next_look_rows) == ("", 0, None)
        shares.append(told.chosen.rows / min(item.rows for item in told.candidates))
    assert np.mean(shares) > 2


@pytest.mark.parametrize(("task", "kind"), [("regression", "regression"), ("classification", "three")])
def test_regression_and_three_classes(task: str, kind: str) -> None:
    choice = made(asked(stream(days=330, task=kind), task=task))
    assert start_of(choice) > pd.Timestamp(TURN, tz="UTC") - pd.Timedelta(days=2)
    assert choice.forward is not None
    assert choice.told.chosen.gain is not None
    assert choice.told.chosen.gain > 0.2


@pytest.mark.parametrize("seed", range(60))
def test_blocks_never_separate_rows_of_one_time(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = int(random.integers(1, 900))
    times = pd.Series(pd.Timestamp("2020-01-01", tz="UTC") + pd.to_timedelta(np.sort(random.integers(0, random.integers(1, 400), rows)), unit="h"))
    since, unseen = int(random.integers(0, rows + 1)), int(random.integers(0, rows + 1))
    blocks = divide(times, since=since, unseen=unseen, holdout_share=float(random.uniform(0.05, 0.5)))
    if blocks is None:
        return
    assert 0 < blocks.choice < blocks.validation < blocks.holdout < blocks.rows == rows
    for first in (blocks.choice, blocks.validation, blocks.holdout):
        assert times.iloc[first] > times.iloc[first - 1]
    # The champion has seen none of the rows that it is compared on, and a model fitted before the first comparison knows something of the new relation.
    assert blocks.validation >= rows - unseen
    assert blocks.rows - blocks.holdout >= FEWEST_BLOCK_ROWS


def test_blocks_have_bounds() -> None:
    times = pd.Series(pd.date_range("2020-01-01", periods=5000, freq="h", tz="UTC"))
    large = divide(times, since=5000, unseen=5000, holdout_share=0.4)
    assert large is not None
    assert large.rows - large.holdout == MOST_BLOCK_ROWS
    assert divide(times, since=FEWEST_BLOCK_ROWS, unseen=5000, holdout_share=0.4) is None
    assert divide(times, since=5000, unseen=2 * FEWEST_BLOCK_ROWS - 1, holdout_share=0.4) is None
    assert divide(times, since=5000, unseen=0, holdout_share=0.4) is None
    same = pd.Series([times.iloc[0]] * 500)
    assert divide(same, since=500, unseen=500, holdout_share=0.4) is None


@pytest.mark.parametrize("ties", [0, 7, 48])
def test_windows_begin_with_all_rows_of_a_time(ties: int) -> None:
    choice = made(asked(stream(days=330, per_day=12, ties=ties)))
    rows = rows_of(stream(days=330, per_day=12, ties=ties))
    starts = [rows.times.searchsorted(pd.Timestamp(item.start)) for item in choice.told.candidates if item.start]
    first = choice.contender.first_row
    assert first in starts
    # A refit finds its first row by time.
    assert first == 0 or rows.times.iloc[first] > rows.times.iloc[first - 1]
    assert [item.rows for item in choice.told.candidates] == [choice.blocks.validation - start for start in starts]


def test_candidates_that_begin_on_one_day_have_names_of_their_own() -> None:
    frame = stream(days=4, per_day=500, turn="2020-01-03T12:00:00")
    choice = made(asked(frame, until="2020-01-02"))
    names = [item.name for item in choice.told.candidates]
    assert len(set(names)) == len(names)
    starts = {item.name.partition(",")[0]: item.start for item in choice.told.candidates}
    assert len(set(starts.values())) == len(starts)


def test_what_is_predicted_in_advance_was_not_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[tuple[pd.Timestamp, str, int]] = []
    original = candidates.fit_part

    def observed(rows: Any, recipe: Any, **named: Any) -> Any:
        fit, description = original(rows, recipe, **named)
        fits.append((rows.times.iloc[named["before"] - 1], description.fit_end, description.rows))
        return fit, description

    monkeypatch.setattr(candidates, "fit_part", observed)
    frame = stream(days=330)
    choice = made(asked(frame))
    times, blocks = rows_of(frame).times, choice.blocks
    assert choice.forward is not None
    assert len(choice.forward) == blocks.holdout - blocks.validation
    assert choice.forward.labels.tolist() == frame["rain"].iloc[blocks.validation : blocks.holdout].tolist()
    assert {end for _, end, _ in fits} == {pd.Timestamp(times.iloc[first]).isoformat().replace("+00:00", "Z") for first in (blocks.choice, blocks.validation)}
    assert all(last < pd.Timestamp(end) for last, end, _ in fits)
    # Nothing learns from the holdout, nor is chosen on it.
    assert max(last for last, _, _ in fits) < times.iloc[blocks.validation]


def test_the_holdout_changes_neither_the_choice_nor_what_is_predicted_in_advance(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = stream(days=330)
    champion = fitted(rows_of(frame), recipe_of())
    began = int((frame["time"] < pd.Timestamp(TURN, tz="UTC")).sum())
    # The champion's errors on all new rows say since when; that is told here.
    monkeypatch.setattr(choosing, "find_change", lambda *_: began)
    choice = made(asked(frame, champion=champion))
    turned = frame.copy()
    holdout = turned.index[choice.blocks.holdout :]
    turned.loc[holdout, "rain"] = 1 - turned.loc[holdout, "rain"]
    other = made(asked(turned, champion=champion))
    assert other.told == choice.told
    assert choice.forward is not None
    assert other.forward is not None
    assert np.array_equal(np.asarray(other.forward.probabilities), np.asarray(choice.forward.probabilities))


def test_the_same_input_gives_the_same_choice() -> None:
    frame = stream(days=330)
    one, other = made(asked(frame)), made(asked(frame))
    assert one.told == other.told
    assert one.forward is not None
    assert other.forward is not None
    assert np.array_equal(one.forward.predicted, other.forward.predicted)
    assert planned(one, recipe_of(), identifier="x").first == planned(other, recipe_of(), identifier="x").first


def test_one_class_after_the_change_is_chosen_among_what_can_be_learned() -> None:
    frame = stream(days=330)
    frame.loc[frame["time"] >= pd.Timestamp(TURN, tz="UTC"), "rain"] = 1
    choice = made(asked(frame, changed_at=TURN, metric="accuracy"))
    notes = {item.name: item.note for item in choice.told.candidates if item.origin == "trained"}
    assert any("class" in note for note in notes.values())
    assert choice.told.chosen.origin == "trained"
    assert start_of(choice) < pd.Timestamp(TURN, tz="UTC")


def test_one_class_in_all_new_rows_and_a_metric_that_needs_two_leave_a_choice_by_errors() -> None:
    frame = stream(days=330)
    frame.loc[frame["time"] >= pd.Timestamp("2020-09-01", tz="UTC"), "rain"] = 1
    told = made(asked(frame, changed_at=TURN, metric="roc_auc")).told
    assert (told.chosen.score, told.champion_score) == (None, None)
    assert told.chosen.origin == "trained"
    assert "because roc_auc is not defined on these rows" in told.sentence


def test_an_estimator_that_cannot_be_fitted_is_an_error_that_says_why() -> None:
    frame = stream(days=330)
    with pytest.raises(TrainingError, match=r"None of the candidates can be fitted and scored.*all rows: .*'C'.*Increase training_window_days"):
        choose(asked(frame, recipe=recipe_of(hyperparameters={"C": -1.0})))


@pytest.mark.parametrize("rows", [0, 1, 2 * FEWEST_BLOCK_ROWS - 1])
def test_too_few_rows_that_are_new_to_the_champion_give_no_choice(rows: int) -> None:
    frame = stream(days=300)
    until = frame["time"].iloc[len(frame) - rows] if rows else pd.Timestamp("2021-06-01", tz="UTC")
    champion = fitted(rows_of(frame), recipe_of())
    seen = replace(champion, description=replace(champion.description, fit_end=until.isoformat()))
    assert choose(asked(frame, champion=seen, changed_at=TURN)) is None


def test_labels_that_are_late_for_half_of_the_rows_leave_a_choice_among_the_others() -> None:
    frame = stream(days=330)
    late = (frame["time"] >= pd.Timestamp(TURN, tz="UTC")) & (np.arange(len(frame)) % 2 == 0)
    frame["rain"] = frame["rain"].astype("float64").mask(late)
    choice = made(asked(frame))
    assert choice.blocks.rows == frame["rain"].notna().sum()
    assert choice.told.rows_since_change == pytest.approx(28 * 6, abs=12)
    assert start_of(choice) > pd.Timestamp("2020-09-28", tz="UTC")


def weighted(choice: Choice) -> list[float]:
    return [item.half_life_days for item in choice.told.candidates if item.half_life_days is not None]


def test_an_estimator_without_weights_is_tried_without_them() -> None:
    choice = made(asked(stream(days=330), recipe=recipe_of(estimator="sklearn.neighbors.KNeighborsClassifier")))
    assert weighted(choice) == []
    assert not any("weights" in item.note for item in choice.told.candidates)
    assert weighted(made(asked(stream(days=330)))) != []


def test_a_half_life_that_was_asked_for_is_the_only_one() -> None:
    choice = made(asked(stream(days=330), recipe=recipe_of(options={"recency_half_life_days": 30.0})))
    assert planned(choice, recipe_of(options={"recency_half_life_days": 30.0}), identifier="x").recipe.options == {"recency_half_life_days": 30.0}
    assert not any("weights" in item.name for item in choice.told.candidates if item.half_life_days is None)


@pytest.mark.parametrize(("function", "takes"), [("logistic", True), ("unweighted", False)])
def test_a_trainer_of_ones_own_is_weighted_where_it_takes_weights(trainers: str, function: str, takes: bool) -> None:  # a parameter of the test
    recipe = recipe_of(estimator=f"{trainers}:{function}")
    assert accepts_weights(recipe) is takes
    choice = made(asked(stream(days=330), recipe=recipe))
    assert bool(weighted(choice)) is takes
    assert choice.told.chosen.score is not None
    assert start_of(choice) > pd.Timestamp("2020-09-28", tz="UTC")


def with_former(frame: pd.DataFrame, former: pd.DataFrame, **more: Any) -> ChoiceRequest:
    """Return a request with version 1, which was fitted on other rows, older ones by their times."""
    old = former.assign(time=former["time"] - pd.Timedelta(days=800))
    model = fitted(rows_of(old), recipe_of(), since="2017-01-01", until="2019-01-01")
    return asked(frame, former=(FormerChampion("1", model),), **more)


def test_a_former_champion_that_knows_the_relation_is_chosen() -> None:
    frame = stream(days=300)
    # A few rows since the turn are enough to tell who is right, and too few to learn as much as version 1 knows.
    choice = made(with_former(frame, stream(turn="2019-01-01", seed=5, noise=0.05)))
    assert (choice.told.chosen.origin, choice.told.chosen.name) == ("former champion", "version 1")
    plan = planned(choice, recipe_of(), identifier="id")
    assert plan.former is not None
    fit, description = plan.fit(rows_of(frame), classes=[0, 1])
    assert (description.origin, description.former_version, description.challenger_id) == ("former champion", "1", "id")
    assert fit.pipeline is plan.former.model.pipeline
    # The gate compares on the rows of both blocks.
    assert len(plan.held_out(rows_of(frame))) == choice.blocks.rows - choice.blocks.validation


def test_a_former_champion_that_is_no_better_stays_where_it_is() -> None:
    choice = made(with_former(stream(days=330), stream(turn=None, seed=5)))
    assert choice.told.chosen.origin == "trained"
    former = next(item for item in choice.told.candidates if item.origin == "former champion")
    assert former.note


def test_a_former_champion_whose_features_are_gone_has_a_note() -> None:
    choice = made(with_former(stream(days=330), stream(turn="2019-01-01").rename(columns={"a": "humidity"})))
    former = next(item for item in choice.told.candidates if item.origin == "former champion")
    assert former.score is None
    assert "humidity" in former.note
    assert choice.told.chosen.origin == "trained"


@pytest.mark.parametrize("classes", [["no", "yes"], [0, 2], [False, True], [0, 1, 2]])
def test_a_former_champion_of_other_classes_has_a_note(classes: list[Any]) -> None:
    request = with_former(stream(days=330), stream(turn="2019-01-01"))
    model = request.former[0].model
    other = replace(model, description=replace(model.description, classes=classes))
    choice = made(replace(request, former=(FormerChampion("1", other),)))
    former = next(item for item in choice.told.candidates if item.origin == "former champion")
    assert "it knows the classes" in former.note


def test_a_former_champion_that_has_seen_the_rows_has_a_note() -> None:
    request = with_former(stream(days=330), stream(turn="2019-01-01"))
    model = request.former[0].model
    late = replace(model, description=replace(model.description, fit_end="2021-06-01T00:00:00Z"))
    choice = made(replace(request, former=(FormerChampion("1", late),)))
    former = next(item for item in choice.told.candidates if item.origin == "former champion")
    assert "has seen these rows" in former.note


@pytest.mark.parametrize(("later", "seen"), [("0ms", False), ("1us", True), ("500ms", True)])
def test_whether_a_former_champion_has_seen_a_row_is_told_below_the_second(later: str, *, seen: bool) -> None:
    frame = stream(days=60, turn=None)
    rows = rows_of(frame)
    model = fitted(rows, recipe_of(), until="2020-02-01")
    end = iso_time(rows.times.iloc[200] + pd.Timedelta(later))
    one = FormerChampion("1", replace(model, description=replace(model.description, fit_end=end)))
    context = ChoiceRows(rows, dict(model.description.features), [0, 1])
    if seen:
        with pytest.raises(ScoringError, match="has seen these rows"):
            one.predictions(context, known=200, first=200, before=220)
    else:
        assert len(one.predictions(context, known=200, first=200, before=220)) == 20


def test_two_in_a_hundred_are_enough_to_choose_though_a_block_holds_none_of_them() -> None:
    frame = stream(days=330, noise=0.1)
    rare = np.where(frame["time"] < pd.Timestamp(TURN, tz="UTC"), frame["a"], -frame["a"]) > 2.05
    frame["rain"] = rare.astype(int)
    choice = made(asked(frame, metric="roc_auc", changed_at=TURN))
    assert choice.told.chosen.origin == "trained"
    # The sentence never names a score that is not known.
    assert (choice.told.chosen.score is None) is ("not defined" in choice.told.sentence)


def test_the_constant_baseline_is_a_candidate_only_where_the_policy_allows_it() -> None:
    # Nothing can be learned: the label is a coin since the turn.
    frame = stream(days=330)
    random = np.random.default_rng(1)
    since = frame["time"] >= pd.Timestamp(TURN, tz="UTC")
    frame.loc[since, "rain"] = (random.random(int(since.sum())) < 0.2).astype(int)
    without, allowed = (made(asked(frame, allow_baseline=allow, changed_at=TURN)) for allow in (False, True))
    assert "constant baseline" not in {item.origin for item in without.told.candidates}
    assert allowed.told.chosen.origin == "constant baseline"
    plan = planned(allowed, recipe_of(), identifier="x")
    assert (plan.recipe.estimator, plan.origin) == ("sklearn.dummy.DummyClassifier", "constant baseline")
    _, description = plan.fit(rows_of(frame), classes=[0, 1])
    assert description.origin == "constant baseline"
    assert description.importances == dict.fromkeys("abc", 0.0)


@pytest.mark.parametrize("change", ["other task", "features gone", "all seen"])
def test_an_odd_champion_is_compared_with_nothing_and_stops_nothing(change: str) -> None:
    frame = stream(days=330)
    usual = fitted(rows_of(frame), recipe_of())
    odd = {
        "other task": replace(usual, description=replace(usual.description, classes=["a", "b"])),
        "features gone": fitted(rows_of(frame.rename(columns={"a": "humidity"})), recipe_of()),
        "all seen": replace(usual, description=replace(usual.description, fit_end="2021-01-01T00:00:00Z")),
    }[change]
    choice = choose(asked(frame, champion=odd, changed_at=TURN))
    if change == "all seen":
        assert choice is None
        return
    assert choice is not None
    assert choice.told.champion_score is None
    assert choice.told.chosen.gain is None
    assert start_of(choice) > pd.Timestamp("2020-09-28", tz="UTC")


@pytest.mark.parametrize("changed_at", ["2020-01-01T00:00:00Z", "2019-01-01T00:00:00Z", "2020-11-25T20:00:00Z", "2022-01-01T00:00:00Z", "2020-10-01"])
def test_a_change_at_the_very_first_or_last_row_or_outside_of_the_rows(changed_at: str) -> None:
    frame = stream(days=330, turn=None)
    choice = choose(asked(frame, changed_at=changed_at))
    if changed_at == "2020-11-25T20:00:00Z":
        assert choice is None
        return
    assert choice is not None
    assert (choice.told.changed_at != "") is (changed_at == "2020-10-01")


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_times_of_another_zone_give_the_same_choice(zone: str) -> None:
    frame = stream(days=330)
    moved = frame.assign(time=frame["time"].dt.tz_convert(zone))
    assert made(asked(moved)).told == made(asked(frame)).told


def test_a_search_is_for_the_chosen_window_only() -> None:
    search = {"n_iter": 3, "space": {"C": [0.1, 1.0]}}
    recipe = recipe_of(search=search, first_candidate={"C": 0.5})
    rows = rows_of(stream(days=60, turn=None))
    tried = trained_contenders(recipe, rows, starts=[0, 100, 100], half_lives=[None, 20.0, 9999.0], before=300)
    assert [(one.first_row, one.half_life_days) for one in tried] == [(100, None), (100, 20.0), (0, None), (0, 20.0)]
    assert all(one.recipe.search == {} and one.recipe.hyperparameters == {"C": 0.5} for one in tried)
    assert tried[1].final_recipe(recipe).search == search
    assert tried[1].final_recipe(recipe).options == {"recency_half_life_days": 20.0}


def test_large_windows_are_compared_by_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "MOST_FIT_ROWS", 300)
    frame = stream(days=330)
    rows = rows_of(frame)
    context = ChoiceRows(rows, {"a": "number", "b": "number", "c": "number"}, [0, 1])
    (one,) = trained_contenders(recipe_of(), rows, starts=[0], half_lives=[None], before=1500)
    said = one.predictions(context, known=1500, first=1500, before=1600)
    assert len(said) == 100
    (fit,) = one._fitted.values()
    assert fit.description.rows == 300
    assert one.described(context, 1500).rows == 1500


def test_a_json_of_the_choice_can_be_read_again() -> None:
    told = made(asked(stream(days=330))).told
    assert CandidateChoice.from_json(json.loads(json.dumps(told.to_json())), source="record", error=TrainingError) == told
