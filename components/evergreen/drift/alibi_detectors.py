"""alibi-detect's detectors, applied to a sample. alibi-detect is imported only when a function is called."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy as np

from evergreen.drift.domain_classifier import FOLDS, new_classifier, usable_columns

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

KernelDetector = Literal["MMDDrift", "LSDDDrift"]
KERNEL_ROWS = 1000
PERMUTATIONS = 500
"""Makes the smallest possible p-value 1 / 501, well below the default significance of 0.01."""


def _detectors() -> Any:
    # Without this, a library that it imports logs that it found no deep-learning framework.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    import alibi_detect.cd

    return alibi_detect.cd


def classifier_drift(reference: NDArray[np.float64], current: NDArray[np.float64], *, significance: float, seed: int) -> float:
    """Return the p-value of ``ClassifierDrift`` with scikit-learn's histogram gradient boosting.

    Args:
        reference: Rows, shape (n, k); NaN for missing.
        current: Rows, shape (m, k).
        significance: The p-value below which alibi-detect itself would report drift.
        seed: The random seed.
    """
    from threadpoolctl import threadpool_limits

    together = usable_columns(np.vstack([reference, current]))
    reference, current = together[: len(reference)], together[len(reference) :]
    with threadpool_limits(limits=1):
        detector = _detectors().ClassifierDrift(
            reference, new_classifier(seed), backend="sklearn", p_val=significance, preds_type="probs", n_folds=FOLDS, train_size=None, seed=seed
        )
        prediction = detector.predict(current, return_probs=False, return_model=False)
    return float(prediction["data"]["p_val"])


def kernel_drift(
    reference: NDArray[np.float64], current: NDArray[np.float64], *, detector: KernelDetector, categories: list[bool], significance: float, seed: int
) -> tuple[float, float]:
    """Return the p-value and the distance of ``MMDDrift`` (Gretton et al., 2012) or ``LSDDDrift`` (Bu et al., 2016), by permutation, with PyTorch.

    Numbers are standardized by the reference, each category becomes a column, and missing values are replaced with the column's mean and marked in
    an additional column, because kernels do not accept missing values.

    Args:
        reference: Rows, shape (n, k); NaN for missing. At most 1,000 of them are used, because the cost grows quadratically.
        current: Rows, shape (m, k); likewise.
        detector: The detector, by alibi-detect's name.
        categories: Whether each feature is categorical.
        significance: The p-value below which alibi-detect itself would report drift.
        seed: The random seed.
    """
    import torch

    reference, current = _some(reference, seed), _some(current, seed + 1)
    before, now = _kernel_columns(reference, current, categories)
    # Leave the caller's random state unchanged.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = getattr(_detectors(), detector)(before, backend="pytorch", p_val=significance, n_permutations=PERMUTATIONS, device="cpu")
        data = made.predict(now)["data"]
    return float(data["p_val"]), float(data["distance"])


def _some(rows: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    if len(rows) <= KERNEL_ROWS:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), KERNEL_ROWS, replace=False))]


def _kernel_columns(reference: NDArray[np.float64], current: NDArray[np.float64], categories: list[bool]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    together = np.vstack([reference, current])
    columns: list[NDArray[Any]] = []
    for position, is_category in enumerate(categories):
        values, missing = together[:, position], np.isnan(together[:, position])
        if is_category:
            columns += [values == code for code in np.unique(values[~missing])]
        else:
            known = reference[:, position][~np.isnan(reference[:, position])]
            mean, deviation = (known.mean(), known.std() or 1.0) if len(known) else (0.0, 1.0)
            columns.append(np.where(missing, 0.0, (values - mean) / deviation))
        if missing.any():
            columns.append(missing)
    matrix = np.column_stack(columns).astype(np.float32)
    return matrix[: len(reference)], matrix[len(reference) :]


def tabular_drift(reference: NDArray[np.float64], current: NDArray[np.float64], *, categories: list[bool]) -> list[float | None]:
    """Return the p-value of ``TabularDrift`` for each feature, after removing missing values.

    A NaN would result in p = nan and "no drift" even for a large shift, so each feature is tested only on its non-missing values.

    Args:
        reference: Rows, shape (n, k); NaN for missing.
        current: Rows, shape (m, k).
        categories: Whether each feature is categorical.

    Returns:
        One p-value per feature; None if either side has fewer than two values.
    """
    detector_class = _detectors().TabularDrift
    p_values: list[float | None] = []
    for position, is_category in enumerate(categories):
        before, now = (rows[:, position][~np.isnan(rows[:, position])].reshape(-1, 1) for rows in (reference, current))
        if min(len(before), len(now)) < 2 or (is_category and len(np.unique(np.concatenate([before, now]))) < 2):
            p_values.append(None)
            continue
        detector = detector_class(before, p_val=0.05, categories_per_feature={0: None} if is_category else {})
        prediction = detector.predict(now, drift_type="feature", return_p_val=True, return_distance=False)
        p_values.append(float(prediction["data"]["p_val"][0]))
    return p_values
