"""Streams of rows whose relation between inputs and label changes in a known way, for `streams.py`.

Each has six numbers and a category, and so much noise in the label that the best reachable ROC AUC is about 0.93.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

COLUMNS = {"target_column": "label", "timestamp_column": "time"}
BEGIN = pd.Timestamp("2021-01-01", tz="UTC")
WINDOW_DAYS, START_DAYS = 30, 90
NUMBERS = [f"x{number}" for number in range(6)]
GROUPS = ["a", "b", "c", "d", "e"]
STEEPNESS, RARE_STEEPNESS = 3.2, 2.2
RARE_INTERCEPT = -5.6
TURN_DAYS = 300
TURN_WINDOWS = 4
FEWEST_ROWS, MOST_ROWS, ROW_STEPS = 5_000, 50_000, 10

ABRUPT = ("abrupt", "half", "imbalanced", "regression", "classes")
"""Streams with one change at one moment."""
CONTROLS = ("stationary", "input drift")
KINDS = ("abrupt", "half", "gradual", "recurring", "input drift", "label shift", "stationary", "imbalanced", "regression", "classes")
METRICS = {"regression": "r2", "classes": "accuracy"}
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Stream:
    """A stream of one kind and seed.

    Attributes:
        kind: One of `KINDS`.
        seed: Seed of its rows, of its relation and of the moment of its change; it also sets the number of rows.
    """

    kind: str
    seed: int

    @property
    def windows(self) -> int:
        """Number of windows after the first model: about two years, longer for controls."""
        return 40 if self.kind in CONTROLS else 21

    @property
    def rows(self) -> int:
        """Number of rows, 5,000 to 50,000; with 2 % positives at least 20,000, because fewer hold too few of them."""
        fewest = 20_000 if self.kind == "imbalanced" else FEWEST_ROWS
        return int(np.geomspace(fewest, MOST_ROWS, ROW_STEPS)[self.seed % ROW_STEPS])

    @property
    def metric(self) -> str:
        """Name of its metric."""
        return METRICS.get(self.kind, "roc_auc")

    @property
    def change_day(self) -> float:
        """Day of the change or of its beginning: a random moment inside the 7th to 15th window; for a gradual one, inside the 4th to 8th."""
        first, last = (3, 8) if self.kind == "gradual" else (6, 15)
        return START_DAYS + WINDOW_DAYS * float(np.random.default_rng([self.seed, 1]).uniform(first, last))

    @property
    def changed_at(self) -> pd.Timestamp:
        """Moment of the change or of its beginning."""
        return BEGIN + pd.Timedelta(days=self.change_day)

    @property
    def changes(self) -> tuple[pd.Timestamp, ...]:
        """The moments at which the relation changes at once; none for a gradual change."""
        if self.kind in ABRUPT:
            return (self.changed_at,)
        if self.kind != "recurring":
            return ()
        length = WINDOW_DAYS * TURN_WINDOWS
        first = self.change_day % length
        return tuple(BEGIN + pd.Timedelta(days=day) for day in np.arange(first + length * (first < START_DAYS), self._days, length))

    @property
    def _days(self) -> float:
        return START_DAYS + self.windows * WINDOW_DAYS

    def frame(self) -> pd.DataFrame:
        """Return all rows, in time order; the last one is in the last window's last hour."""
        random = np.random.default_rng([self.seed, 2])
        days = np.sort(random.uniform(0, self._days, self.rows))
        days[0], days[-1] = 0.0, self._days - 0.01
        return self._draw(days, random)

    def fresh(self, day: float, rows: int = 20_000, *, draw: int = 0) -> pd.DataFrame:
        """Return rows that are not in the stream, with the inputs and the relation of a day.

        Args:
            day: The day, counted from the beginning.
            rows: Number of rows.
            draw: Number of the draw, for different rows of the same day.
        """
        return self._draw(np.full(rows, day), np.random.default_rng([self.seed, 3, draw]))

    def day_of(self, moment: pd.Timestamp) -> float:
        """Return the day of a moment, counted from the beginning."""
        return (moment - BEGIN) / pd.Timedelta(days=1)

    def _draw(self, days: Array, random: np.random.Generator) -> pd.DataFrame:
        numbers, groups = self._inputs(days, random)
        if self.kind == "label shift":
            numbers, groups, label = self._shifted_labels(days, random)
        else:
            label = self._label(numbers, groups, days, random)
        times = BEGIN + pd.to_timedelta(days, unit="D").round("s")
        frame = pd.DataFrame({"time": times, **{name: numbers[:, number] for number, name in enumerate(NUMBERS)}})
        return frame.assign(group=np.asarray(GROUPS, dtype=object)[groups], label=label)

    def _inputs(self, days: Array, random: np.random.Generator) -> tuple[Array, Array]:
        numbers = random.normal(size=(len(days), len(NUMBERS)))
        groups = random.choice(len(GROUPS), len(days), p=[0.3, 0.25, 0.2, 0.15, 0.1])
        if self.kind == "input drift":
            # Two inputs wander off, one follows the season, and a category becomes frequent; what they mean stays.
            since = np.clip((days - self.change_day) / TURN_DAYS, 0, 1)
            numbers[:, 0] += since
            numbers[:, 1] -= 0.7 * since
            numbers[:, 2] += 0.8 * np.sin(2 * np.pi * days / 365)
            groups = np.where(random.random(len(days)) < 0.3 * since, len(GROUPS) - 1, groups)
        return numbers, groups

    def _relation(self) -> tuple[Array, Array]:
        """Return the weight of each number, of length 1 and sorted by size, and the effect of each category."""
        random = np.random.default_rng([self.seed, 4])
        weights = random.choice([-1, 1], len(NUMBERS)) * np.array([0.6, 0.5, 0.4, 0.35, 0.25, 0.2])
        return weights / np.linalg.norm(weights), random.normal(0, 0.25, len(GROUPS))

    def _turn(self, days: Array) -> Array:
        """Return by how much of a half-circle the relation is turned at each day."""
        if self.kind in ABRUPT:
            return (days >= self.change_day).astype(float)
        if self.kind == "gradual":
            return np.clip((days - self.change_day) / TURN_DAYS, 0, 1)
        if self.kind == "recurring":
            marks = [self.day_of(change) for change in self.changes]
            return (np.searchsorted(marks, days, side="right") % 2).astype(float)
        return np.zeros(len(days))

    def _signal(self, numbers: Array, groups: Array, days: Array) -> Array:
        """Return the signal, with a standard deviation of about 1."""
        weights, effects = self._relation()
        turn = self._turn(days)
        straight = numbers @ weights + 0.3 * numbers[:, 0] * numbers[:, 3]
        if self.kind == "half" or (self.kind == "recurring" and self.seed % 2):
            turned = numbers @ np.where(np.arange(len(NUMBERS)) < len(NUMBERS) // 2, -weights, weights) + 0.3 * numbers[:, 0] * numbers[:, 3]
            return np.where(turn > 0, turned, straight) + effects[groups]
        # By way of a direction that has nothing to do with either end.
        aside = numbers @ np.roll(weights * np.resize([1, -1], len(NUMBERS)), 1)
        signal: Array = straight * np.cos(np.pi * turn) + aside * np.sin(np.pi * turn) + effects[groups] * np.cos(np.pi * turn)
        return signal

    def _label(self, numbers: Array, groups: Array, days: Array, random: np.random.Generator) -> Array:
        signal = self._signal(numbers, groups, days)
        if self.kind == "regression":
            return signal + random.normal(0, 0.4, len(days))
        if self.kind == "classes":
            # Three classes around a circle; after the change each takes the place of the next.
            other = numbers @ np.roll(self._relation()[0], 2)
            scores = np.stack([np.abs(signal) * np.cos(angle) + other * np.sin(angle) for angle in (0, 2.1, 4.2)], axis=1)
            chosen = np.argmax(STEEPNESS * scores + random.gumbel(size=scores.shape), axis=1)
            return np.asarray((chosen + self._turn(days).astype(int)) % 3)
        steepness, intercept = (RARE_STEEPNESS, RARE_INTERCEPT) if self.kind == "imbalanced" else (STEEPNESS, 0.0)
        return (random.random(len(days)) < 1 / (1 + np.exp(-(steepness * signal + intercept)))).astype(int)

    def _shifted_labels(self, days: Array, random: np.random.Generator) -> tuple[Array, Array, Array]:
        """Return rows of which more and more are positive, while the rows of each class stay as they are."""
        wanted = (random.random(len(days)) < np.where(days >= self.change_day, 0.75, 0.3)).astype(int)
        pool = np.full(4 * len(days), 0.0)
        numbers, groups = self._inputs(pool, random)
        label = self._label(numbers, groups, pool, random)
        taken = np.empty(len(days), dtype=int)
        for value in (0, 1):
            taken[wanted == value] = np.flatnonzero(label == value)[: int((wanted == value).sum())]
        return numbers[taken], groups[taken], wanted
