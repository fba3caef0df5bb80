"""Metrics of the user's own: any function, named ``module:function``, that scores predictions. What a mistake costs the business, for instance.

The contract:

    def value(labels, predicted, *, probabilities, classes):
        ...
        return number

``labels`` and ``predicted`` are arrays of shape (rows,); ``probabilities`` has shape (rows, classes) in the order of ``classes``, and is
None for regression and for models without any. The function returns one finite number, and higher is better; NaN says that the metric is
not defined on these rows. It is called on many resamples of the rows, so it should be quick and must not depend on their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.settings.function_path import import_function


class CustomMetricError(EvergreenError):
    """There is no such function, or what it returns is no number."""


@dataclass(frozen=True)
class CustomScorer:
    """A function as a scikit-learn scorer: called with an estimator, rows and labels."""

    path: str
    function: Callable[..., Any]

    def __call__(self, estimator: Any, rows: Any, labels: Any) -> float:
        """Return the function's value.

        Raises:
            CustomMetricError: The function returned something other than a number.
            ValueError: The function failed on these rows.
        """
        probabilities = estimator.predict_proba(rows) if hasattr(estimator, "predict_proba") else None
        classes = list(estimator.classes_) if probabilities is not None else []
        try:
            found = self.function(labels, estimator.predict(rows), probabilities=probabilities, classes=classes)
        # Whatever the user's code raises is the user's to know; on a resample it means that the metric is not defined there.
        except Exception as error:
            raise ValueError(f"the function failed: {type(error).__name__}: {error}") from error
        if isinstance(found, bool) or not isinstance(found, Real):
            # A NumPy scalar is a Real, an array of one number is not.
            raise CustomMetricError(f"metric {self.path!r}: returned {type(found).__name__} {found!r}; expected one number, higher is better.")
        return float(found)


def custom_scorer(path: str) -> CustomScorer:
    """Import a metric's function.

    Args:
        path: ``module:function``.

    Raises:
        CustomMetricError: The module cannot be imported, or it has no such function.
    """
    return CustomScorer(path, import_function(path, thing="metric", error_class=CustomMetricError))
