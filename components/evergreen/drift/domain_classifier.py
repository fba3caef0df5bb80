"""A classifier two-sample test: if a classifier can distinguish reference from current rows, they differ (Lopez-Paz and Oquab, 2017)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from evergreen.metrics.ranks import area_under_curve, midranks

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


ROWS_A_SIDE = 2500
FOLDS = 5
PERMUTATIONS = 1000
TOP_FEATURES = 10
FEWEST_VALUES = 50


def balanced_rows(reference: NDArray[np.float64], current: NDArray[np.float64], *, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the same number of random rows from both sides, at most 2,500 each."""
    size = min(len(reference), len(current), ROWS_A_SIDE)
    generator = np.random.default_rng(seed)
    chosen = (rows[np.sort(generator.choice(len(rows), size, replace=False))] for rows in (reference, current))
    return next(chosen), next(chosen)


def new_classifier(seed: int) -> Any:
    """Return a small histogram gradient booster, which handles missing values and unscaled numbers."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=15, min_samples_leaf=20, early_stopping=False, random_state=seed)


def classifier_test(reference: NDArray[np.float64], current: NDArray[np.float64], *, seed: int) -> tuple[float, float, NDArray[np.float64]]:
    """Run the classifier two-sample test with five-fold cross-validation.

    For the p-value, labels are permuted within the held-out folds: if there is no difference, the scores of unseen rows do
    not depend on their labels.

    Args:
        reference: Rows, shape (n, k); NaN for missing.
        current: Rows, shape (n, k).
        seed: The random seed.

    Returns:
        The p-value, the area under the ROC curve, and how much of it each feature explains (the loss when the feature is
        shuffled in the held-out rows), shape (k,).
    """
    from threadpoolctl import threadpool_limits

    rows = usable_columns(np.vstack([reference, current]))
    labels = np.repeat([False, True], [len(reference), len(current)])
    generator = np.random.default_rng(seed)
    folds = generator.permutation(np.arange(len(rows)) % FOLDS)
    areas, null_areas, importances = [], [], []
    # OpenMP's threads busy-wait for each other, which would make the booster extremely slow on a busy machine.
    with threadpool_limits(limits=1):
        for fold in range(FOLDS):
            held = folds == fold
            model = new_classifier(seed).fit(rows[~held], labels[~held])
            ranks = midranks(model.predict_proba(rows[held])[:, 1])
            areas.append(area_under_curve(ranks, labels[held]))
            null_areas.append([area_under_curve(ranks, generator.permutation(labels[held])) for _ in range(PERMUTATIONS)])
            if fold == 0:
                importances = _importances(model, rows[held], labels[held], areas[0], generator)
    area, null = float(np.mean(areas)), np.mean(null_areas, axis=0)
    exceeding = int(np.sum(np.abs(null - 0.5) >= abs(area - 0.5)))
    # Permutations cannot resolve p-values below one in a thousand; below that, use a normal approximation of the null distribution.
    p_value = (exceeding + 1) / (PERMUTATIONS + 1) if exceeding else math.erfc(abs(area - 0.5) / float(null.std()) / math.sqrt(2))
    return p_value, area, np.asarray(importances)


def usable_columns(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rows with columns zeroed that have too few values for every fold to contain one, which boosters cannot bin."""
    empty = np.isfinite(rows).sum(axis=0) < FEWEST_VALUES
    return np.where(empty, 0.0, rows)


def _importances(model: Any, rows: NDArray[np.float64], labels: NDArray[np.bool_], area: float, generator: np.random.Generator) -> list[float]:
    losses = []
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        shuffled[:, column] = generator.permutation(shuffled[:, column])
        losses.append(max(0.0, area - area_under_curve(midranks(model.predict_proba(shuffled)[:, 1]), labels)))
    return losses
