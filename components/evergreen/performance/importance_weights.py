"""Weights that make reference rows look like the rows of a window: the ratio of the two densities of the inputs.

A classifier that tells window from reference rows yields that ratio as its odds (Bickel, Brückner and Scheffer, Discriminative learning under
covariate shift, Journal of Machine Learning Research 10, 2009; Sugiyama, Suzuki and Kanamori, Density Ratio Estimation in Machine Learning, 2012).
Each row's odds come from a classifier that was fitted without it, and the kind of classifier is chosen by its held-out likelihood, as is whether
there is anything to tell at all. The largest weights are truncated (Ionides, Truncated importance sampling, Journal of Computational and Graphical
Statistics 17, 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.data.columns import CATEGORY, prepare_features

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Array = np.ndarray[Any, Any]

FOLDS = 5
MOST_CATEGORIES = 20
BINARY = 2
FEWEST_EFFECTIVE_ROWS = 50
LARGEST_IMBALANCE = 0.25
"""Largest difference between the means of the weighted reference and of the window, in standard deviations, that still counts as balanced (Stuart,
Matching methods for causal inference, Statistical Science 25, 2010); chance is allowed for on top."""


@dataclass(frozen=True)
class ImportanceWeights:
    """The weights of reference rows.

    Attributes:
        weights: Weight of each row, 1 on average, shape (rows,).
        problem: Why the weighted rows do not represent the window; empty if they do.
    """

    weights: Array
    problem: str = ""

    @property
    def effective_rows(self) -> float:
        """Number of equally weighted rows that would be as informative (Kong, 1992)."""
        return float(self.weights.sum() ** 2 / (self.weights**2).sum())


def importance_weights(reference: pd.DataFrame, window: pd.DataFrame, features: Mapping[str, str], *, seed: int) -> ImportanceWeights:
    """Return the weights with which reference rows look like the rows of a window.

    Args:
        reference: Reference rows.
        window: Rows of the window.
        features: Kind of each feature to weigh by.
        seed: Random seed of the folds and classifiers.

    Raises:
        ArtifactError: A feature holds values of another kind.
    """
    from evergreen.models.threads import one_thread

    matrix = _matrix(prepare_features(pd.concat([reference[list(features)], window[list(features)]], ignore_index=True), features), features)
    of_window = np.repeat([False, True], [len(reference), len(window)])
    with one_thread():
        odds = _odds(matrix, of_window, seed=seed)
    weights = np.minimum(odds / odds.mean(), np.sqrt(len(odds)))
    found = ImportanceWeights(weights / weights.mean())
    return ImportanceWeights(found.weights, _problem(found, matrix, of_window))


def _matrix(prepared: pd.DataFrame, features: Mapping[str, str]) -> Array:
    """Return standardized numbers, an indicator for each frequent category, and one for missing values; extreme values are drawn in."""
    columns: list[Array] = []
    for name, kind in features.items():
        column = prepared[name]
        missing = column.isna().to_numpy()
        if kind == CATEGORY:
            columns += [(column == value).to_numpy() for value in column.value_counts().index[:MOST_CATEGORIES]]
        elif not missing.all():
            values = column.to_numpy(dtype=np.float64)
            low, middle, high = np.nanquantile(values, [0.005, 0.5, 0.995])
            filled = np.clip(np.where(missing, middle, values), low, high)
            columns.append((filled - filled.mean()) / (filled.std() or 1.0))
        if missing.any() and not missing.all():
            columns.append(missing)
    return np.column_stack(columns).astype(np.float64) if columns else np.zeros((len(prepared), 1))


def _odds(matrix: Array, of_window: Array, *, seed: int) -> Array:
    """Return the odds of each reference row to be one of the window, by the classifier with the highest held-out likelihood."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    share = float(of_window.mean())
    # What a classifier would say that cannot tell the rows apart: all weights are then equal.
    best, highest = np.full(len(matrix), share), _likelihood(np.full(len(matrix), share), of_window)
    for classifier, columns in _classifiers(matrix, seed):
        said = np.clip(cross_val_predict(classifier, columns, of_window, cv=folds, method="predict_proba")[:, 1], 1e-4, 1 - 1e-4)
        likelihood = _likelihood(said, of_window)
        if likelihood > highest:
            best, highest = said, likelihood
    said = best[~of_window]
    odds: Array = said / (1 - said)
    return odds


def _likelihood(said: Array, of_window: Array) -> float:
    return float(np.log(np.where(of_window, said, 1 - said)).mean())


def _classifiers(matrix: Array, seed: int) -> Iterator[tuple[Any, Array]]:
    """Yield classifiers and the columns to fit each on, from the simplest to the most flexible."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression

    squares = [column**2 for column in matrix.T if len(np.unique(column)) > BINARY]
    # Two normal distributions have the odds of a logistic regression on the values and their squares.
    yield LogisticRegression(C=0.1, max_iter=300), np.column_stack([matrix, *squares])
    common = {"min_samples_leaf": 40, "l2_regularization": 5.0, "early_stopping": False, "random_state": seed}
    yield HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=6, **common), matrix
    yield HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=12, **common), matrix


def _problem(found: ImportanceWeights, matrix: Array, of_window: Array) -> str:
    rows = found.effective_rows
    if rows < FEWEST_EFFECTIVE_ROWS:
        return f"the reference holds too few rows like those of the window (as informative as {rows:.0f} rows; {FEWEST_EFFECTIVE_ROWS} are needed)"
    reference, window = matrix[~of_window], matrix[of_window]
    mean = np.average(reference, weights=found.weights, axis=0)
    spread = np.sqrt((reference.var(axis=0) + window.var(axis=0)) / 2)
    apart = np.abs(mean - window.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    allowed = LARGEST_IMBALANCE + 2 * np.sqrt(1 / rows + 1 / len(window))
    if apart.max() > allowed:
        return f"the window's inputs lie outside the reference: weighted by similarity, the two still differ by {apart.max():.1f} standard deviations"
    return ""
