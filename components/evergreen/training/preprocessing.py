"""What stands before the estimator inside the model, so that serving cannot forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.columns import CATEGORY

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CATEGORIES = 50


def build_pipeline(features: Mapping[str, str], estimator: Any) -> Any:
    """Return preprocessing and estimator as one scikit-learn pipeline, not fitted, over prepared features.

    Numbers (and dates and truth values, which are numbers by now) get the median where they are missing, a column that says so, and
    unit scale. Categories become one column each, at most 50; the rarest share one, which also takes categories never seen
    at training. A missing category is a category of its own.

    Args:
        features: Kind of each feature, in the order of the columns.
        estimator: The estimator.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = [name for name, kind in features.items() if kind != CATEGORY]
    categories = [name for name, kind in features.items() if kind == CATEGORY]
    # An empty column is kept: a fold of a search may lack all values of one.
    scale = Pipeline([("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)), ("scale", StandardScaler())])
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False)
    parts = [("numbers", scale, numbers), ("categories", encode, categories)]
    return Pipeline([("preprocessing", ColumnTransformer([part for part in parts if part[2]])), ("model", estimator)])
