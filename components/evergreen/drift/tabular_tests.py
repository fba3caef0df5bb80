"""Tests of significance: by alibi-detect or by SciPy, with one correction for the number of tests."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from evergreen.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


class TabularTests(Protocol):
    """The tests that one library offers. Values hold nothing missing."""

    library: str

    def numbers(self, reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
        """Return the p-value of the two-sample Kolmogorov-Smirnov test."""

    def categories(self, reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
        """Return the p-value of the chi-squared test of homogeneity, for category codes."""


def choose_tests(library: str) -> TabularTests:
    """Return the tests of a library.

    Args:
        library: ``alibi``, ``scipy``, or ``auto``: alibi-detect when it is installed, else SciPy.

    Raises:
        MissingExtraError: alibi-detect was asked for and is not installed.
    """
    installed = find_spec("alibi_detect") is not None
    if library == "alibi" and not installed:
        raise MissingExtraError("drift config 'library: alibi'", extra="alibi")
    return AlibiTests() if installed and library != "scipy" else ScipyTests()


class ScipyTests:
    """The tests of ``scipy.stats``."""

    library = "scipy"

    def numbers(self, reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
        """Return the p-value of ``ks_2samp`` with its asymptotic distribution, which alibi-detect uses too."""
        from scipy.stats import ks_2samp

        return float(ks_2samp(reference, current, alternative="two-sided", method="asymp").pvalue)

    def categories(self, reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
        """Return the p-value of ``chi2_contingency``."""
        import numpy as np
        from scipy.stats import chi2_contingency

        size = int(max(reference.max(), current.max())) + 1
        table = np.vstack([np.bincount(reference, minlength=size), np.bincount(current, minlength=size)])
        return float(chi2_contingency(table[:, table.sum(axis=0) > 0]).pvalue)


class AlibiTests:
    """``TabularDrift`` of alibi-detect, one feature at a time, because features miss different rows."""

    library = "alibi-detect"

    def __init__(self) -> None:
        """Import alibi-detect, which takes seconds, and keep it from logging that it found no deep-learning library."""
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        from alibi_detect.cd import TabularDrift

        self._detector = TabularDrift

    def numbers(self, reference: NDArray[np.float64], current: NDArray[np.float64]) -> float:
        """Return the p-value of its Kolmogorov-Smirnov test."""
        # An empty mapping says "all are numbers" and avoids the warning that None brings.
        return self._p_value(reference, current, {})

    def categories(self, reference: NDArray[np.int64], current: NDArray[np.int64]) -> float:
        """Return the p-value of its chi-squared test."""
        return self._p_value(reference, current, {0: None})

    def _p_value(self, reference: NDArray[np.generic], current: NDArray[np.generic], categories: dict[int, None]) -> float:
        detector = self._detector(reference.reshape(-1, 1), p_val=0.05, categories_per_feature=categories)
        prediction = detector.predict(current.reshape(-1, 1), drift_type="feature", return_p_val=True, return_distance=False)
        return float(prediction["data"]["p_val"][0])


def share_test(count_before: int, rows_before: int, count_now: int, rows_now: int) -> float:
    """Return the p-value of Fisher's exact test that two shares are equal.

    Args:
        count_before: Rows of the reference that count.
        rows_before: All rows of the reference.
        count_now: Current rows that count.
        rows_now: All current rows.
    """
    from scipy.stats import fisher_exact

    return float(fisher_exact([[count_before, rows_before - count_before], [count_now, rows_now - count_now]]).pvalue)


def merged_codes(reference: NDArray[np.float64], current: NDArray[np.float64]) -> NDArray[np.int64]:
    """Merge rare categories, because the chi-squared test needs about five expected rows a cell (Cochran, 1954).

    Args:
        reference: Counts of each category, shape (k,).
        current: Counts of each category, shape (k,).

    Returns:
        The new code of each category, shape (k,): the rarest share one code until five rows are expected on both sides.
    """
    import numpy as np

    total = reference + current
    needed = 5 * total.sum() / min(reference.sum(), current.sum())
    codes = np.zeros(len(total), dtype=np.int64)
    code, collected = 0, 0.0
    for position in np.argsort(total, kind="stable"):
        if collected >= needed:
            code, collected = code + 1, 0.0
        codes[position] = code
        collected += total[position]
    if collected < needed:
        codes[codes == code] = max(code - 1, 0)
    return codes


def corrected_p_values(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number, so that the false discovery rate is bounded (Benjamini and Hochberg, 1995).

    Args:
        p_values: One p-value for each test.

    Returns:
        The corrected p-values, in the same order: a test is a discovery at rate q when its value is at most q.
    """
    count = len(p_values)
    corrected = [1.0] * count
    smallest = 1.0
    order = sorted(range(count), key=lambda index: p_values[index], reverse=True)
    for rank, index in zip(range(count, 0, -1), order, strict=True):
        smallest = min(smallest, p_values[index] * count / rank)
        corrected[index] = smallest
    return corrected
