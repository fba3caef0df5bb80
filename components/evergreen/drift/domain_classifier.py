"""A classifier two-sample test: if a classifier can tell reference from current rows, they differ (Lopez-Paz and Oquab, 2017)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


ROWS_A_SIDE = 2500
FOLDS = 5
PERMUTATIONS = 1000
TOP_FEATURES = 10
FEWEST_VALUES = 50


def balanced_rows(reference: NDArray[np.float64], current: NDArray[np.float64], *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return random rows of both sides, equally many and at most 2,500 of each."""
    size = min(len(reference), len(current), ROWS_A_SIDE)
    generator = np.random.default_rng(seed)
    chosen = (rows[np.sort(generator.choice(len(rows), size, replace=False))] for rows in (reference, current))
    return next(chosen), next(chosen)


def new_classifier(seed: int) -> Any:
    """Return a small histogram booster, which takes missing values and unscaled numbers as they are."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=seed)


def classifier_test(reference: NDArray[np.float64], current: NDArray[np.float64], *, seed: int) -> tuple[float, float, NDArray[np.float64]]:
    """Train on four fifths and score the last fifth, five times.

    Labels are permuted within the held-out folds for the p-value: under "no difference" the scores of rows that the
    classifier has not seen do not depend on their labels.

    Args:
        reference: Rows, shape (n, k); NaN for missing.
        current: Rows, shape (n, k).
        seed: Seed of everything random.

    Returns:
        The p-value, the area under the ROC curve, and how much of it each feature explains (its loss when the feature is
        shuffled in the held-out rows), shape (k,).
    """
    from threadpoolctl import threadpool_limits

    rows = usable_columns(np.vstack([reference, current]))
    labels = np.repeat([0, 1], [len(reference), len(current)])
    generator = np.random.default_rng(seed)
    folds = generator.permutation(np.arange(len(rows)) % FOLDS)
    areas, null_areas, importances = [], [], []
    # OpenMP's threads wait for each other actively: on a busy machine the booster would crawl.
    with threadpool_limits(limits=1):
        for fold in range(FOLDS):
            held = folds == fold
            model = new_classifier(seed).fit(rows[~held], labels[~held])
            ranks = _ranks(model.predict_proba(rows[held])[:, 1])
            areas.append(_area(ranks, labels[held]))
            null_areas.append([_area(ranks, generator.permutation(labels[held])) for _ in range(PERMUTATIONS)])
            if fold == 0:
                importances = _importances(model, rows[held], labels[held], areas[0], generator)
    area, null = float(np.mean(areas)), np.mean(null_areas, axis=0)
    exceeding = int(np.sum(np.abs(null - 0.5) >= abs(area - 0.5)))
    # Permutations cannot tell smaller p-values than one in a thousand; beyond that the normal shape of their spread does.
    p_value = (exceeding + 1) / (PERMUTATIONS + 1) if exceeding else math.erfc(abs(area - 0.5) / float(null.std()) / math.sqrt(2))
    return p_value, area, np.asarray(importances)


def usable_columns(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows with zeros in columns that hold too few values for a fold to be sure of one, which boosters cannot bin."""
    empty = np.isfinite(rows).sum(axis=0) < FEWEST_VALUES
    return np.where(empty, 0.0, rows)


def _ranks(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    middle: NDArray[np.float64] = np.cumsum(counts) - (counts - 1) / 2
    return middle[inverse]


def _area(ranks: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    ones = int(labels.sum())
    zeros = len(labels) - ones
    if not ones or not zeros:
        return 0.5
    return float((ranks[labels == 1].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _importances(model: Any, rows: NDArray[np.float64], labels: NDArray[np.int64], area: float, generator: np.random.Generator) -> list[float]:
    losses = []
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        shuffled[:, column] = generator.permutation(shuffled[:, column])
        losses.append(max(0.0, area - _area(_ranks(model.predict_proba(shuffled)[:, 1]), labels)))
    return losses
