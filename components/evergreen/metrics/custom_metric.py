"""User-defined metrics: any function, given as ``module:function``, that scores predictions, for instance by the business cost of errors.

The contract:

    def value(labels, predicted, *, probabilities, classes):
        ...
        return number

``labels`` and ``predicted`` are arrays of shape (rows,); ``probabilities`` has shape (rows, classes) in the order of ``classes``, and is
None for regression and for models without probabilities. The function returns one finite number, higher is better; NaN means that the metric
is undefined on these rows. It is called on many resamples of the rows, so it should be fast and must not depend on their order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

from evergreen.errors import EvergreenError
from evergreen.settings.function_path import import_function


class CustomMetricError(EvergreenError):
    """The metric function does not exist, or does not return a number."""


@dataclass(frozen=True)
class CustomScorer:
    """A function wrapped as a scikit-learn scorer, which is called with an estimator, rows and labels."""

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
        # User code may raise anything; on a resample it means that the metric is undefined there.
        except Exception as error:
            raise ValueError(f"the function failed: {type(error).__name__}: {error}") from error
        if isinstance(found, bool) or not isinstance(found, Real):
            # A NumPy scalar is a Real; an array with one number is not.
            raise CustomMetricError(f"metric {self.path!r}: returned {type(found).__name__} {found!r}; expected a single number, higher is better.")
        return float(found)


def custom_scorer(path: str) -> CustomScorer:
    """Import a metric's function.

    Args:
        path: ``module:function``.

    Raises:
        CustomMetricError: The module cannot be imported, or has no such function.
    """
    return CustomScorer(path, import_function(path, thing="metric", error_class=CustomMetricError))
