"""Where the errors of single rows last changed, and how often a change is found where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from evergreen.metrics import change_point
from evergreen.metrics.change_point import FALSE_ALARMS, FEWEST_ROWS_APART, MOST_ROWS, latest_rise

if TYPE_CHECKING:
    from collections.abc import Callable

    Draw = Callable[[np.random.Generator, int], np.ndarray]

STATIONARY: dict[str, Draw] = {
    "normal": lambda random, rows: random.normal(size=rows),
    "log loss": lambda random, rows: -np.log(random.beta(4, 1, size=rows)),
    "heavy tails": lambda random, rows: np.abs(random.standard_cauchy(size=rows)),
    "wrong or right": lambda random, rows: (random.random(rows) < 0.1).astype(float),
}


@pytest.mark.parametrize("place", [60, 250, 540])
def test_a_shift_is_found_within_a_few_rows(place: int) -> None:
    found = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        errors = np.concatenate([random.exponential(0.3, place), 2 + random.exponential(0.3, 600 - place)])
        found.append(latest_rise(errors))
    # The rows after a change are searched for another one, which raises a false alarm now and then.
    assert sum(one is not None and abs(one - place) <= 3 for one in found) >= 9
    assert None not in found


@pytest.mark.parametrize("name", STATIONARY)
def test_false_alarms_on_stationary_errors_are_as_rare_as_promised(name: str) -> None:
    repeats, allowed = 300, 0.05
    random = np.random.default_rng(11)
    alarms = sum(latest_rise(STATIONARY[name](random, 150), false_alarms=allowed, seed=repeat) is not None for repeat in range(repeats))
    # Three standard errors above the promised rate; a rate of nothing would mean that nothing can be found.
    assert 0 < alarms / repeats <= allowed + 3 * np.sqrt(allowed * (1 - allowed) / repeats)


def test_the_default_rate_of_false_alarms_is_kept_at_a_length_of_many_windows() -> None:
    random = np.random.default_rng(5)
    alarms = sum(latest_rise(random.normal(size=400), seed=repeat) is not None for repeat in range(200))
    assert alarms <= 200 * FALSE_ALARMS + 3 * np.sqrt(200 * FALSE_ALARMS * (1 - FALSE_ALARMS))


def test_errors_that_fell_at_the_last_change_are_no_reason_to_forget_older_rows() -> None:
    random = np.random.default_rng(3)
    assert latest_rise(np.concatenate([random.normal(0, 1, 300), random.normal(5, 1, 300), random.normal(0, 1, 200)])) is None
    assert latest_rise(np.concatenate([random.normal(5, 1, 300), random.normal(0, 1, 300)])) is None


def test_the_latest_of_two_changes_is_found() -> None:
    random = np.random.default_rng(3)
    errors = np.concatenate([random.normal(0, 1, 300), random.normal(2, 1, 300), random.normal(5, 1, 200)])
    found = latest_rise(errors)
    assert found is not None
    assert abs(found - 600) <= 5


@pytest.mark.parametrize("after", [0, 1])
def test_a_change_at_the_first_or_last_row_is_none(after: int) -> None:
    random = np.random.default_rng(1)
    errors = random.normal(size=200)
    errors[-1 if after else 0] = 1000.0
    assert latest_rise(errors) is None


@pytest.mark.parametrize("place", ["first", "last"])
def test_a_change_lies_no_closer_to_an_end_than_there_is_evidence_for(place: str) -> None:
    random = np.random.default_rng(1)
    rows, apart = 400, FEWEST_ROWS_APART
    at = apart if place == "first" else rows - apart
    errors = np.concatenate([random.normal(0, 1, at), random.normal(8, 1, rows - at)])
    assert latest_rise(errors) == at
    # Half as many rows: if the change is found at all, not closer than that.
    closer = apart // 2 if place == "first" else rows - apart // 2
    found = latest_rise(np.concatenate([random.normal(0, 1, closer), random.normal(8, 1, rows - closer)]))
    assert found is None or apart <= found <= rows - apart


def test_errors_that_are_all_the_same_never_changed() -> None:
    assert latest_rise(np.zeros(300)) is None
    assert latest_rise(np.full(300, 0.7)) is None


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_errors_that_are_no_numbers_tell_nothing(odd: float) -> None:
    errors = np.concatenate([np.zeros(200), np.ones(200)])
    errors[7] = odd
    assert latest_rise(errors) is None


@pytest.mark.parametrize("rows", [0, 1, FEWEST_ROWS_APART, 2 * FEWEST_ROWS_APART - 1])
def test_too_few_rows_tell_nothing(rows: int) -> None:
    assert latest_rise(np.arange(rows, dtype=float)) is None


def test_the_fewest_rows_in_which_a_change_is_found() -> None:
    errors = np.repeat([0.0, 1.0], FEWEST_ROWS_APART)
    assert latest_rise(errors) == FEWEST_ROWS_APART


def test_ties_do_not_blur_a_change() -> None:
    # Of a classifier without probabilities there are two errors only: right and wrong.
    random = np.random.default_rng(2)
    errors = np.concatenate([random.random(300) < 0.05, random.random(300) < 0.8]).astype(int)
    found = latest_rise(errors)
    assert found is not None
    assert abs(found - 300) <= 5


def test_only_the_newest_rows_count_in_a_long_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(change_point, "MOST_ROWS", 200)
    errors = np.concatenate([np.zeros(500), np.ones(300)])
    assert latest_rise(errors) is None
    assert latest_rise(errors[:600]) == 500
    assert MOST_ROWS > 200


def test_the_same_errors_always_give_the_same_change_and_are_left_as_they_are() -> None:
    random = np.random.default_rng(4)
    errors = np.concatenate([random.normal(0, 1, 100), random.normal(0.6, 1, 100)])
    before = errors.copy()
    assert len({latest_rise(errors, seed=3) for _ in range(3)}) == 1
    assert (errors == before).all()
