"""Preprocessing inside the model, before the estimator, so that serving cannot omit it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.data.columns import CATEGORY

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    import pandas as pd

MOST_CATEGORIES = 50


def build_pipeline(features: Mapping[str, str], estimator: Any, *, target_encoded: Collection[str] = (), target_type: str = "auto", seed: int = 7) -> Any:
    """Return preprocessing and estimator as one unfitted scikit-learn pipeline over prepared features.

    Missing numbers (including dates and booleans, which have been converted to numbers) are replaced by the median and flagged in an extra column;
    numbers are scaled to unit variance. Each category becomes a column, at most 50; the rarest ones share a column, which is also used for categories
    not seen at training. A missing category is a separate category.

    A feature with many categories can be encoded as the mean of the target instead, shrunk towards the overall mean. While fitting, the mean for a row is
    computed only from other rows (Micci-Barreca, SIGKDD Explorations 3, 2001; scikit-learn's cross-fitting), so that its own label does not leak.

    Args:
        features: Kind of each feature, in the order of the columns.
        estimator: The estimator.
        target_encoded: Features encoded as the mean of the target.
        target_type: ``binary``, ``multiclass`` or ``continuous``.
        seed: Random seed for the cross-fitting.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

    numbers = [name for name, kind in features.items() if kind != CATEGORY]
    categories = [name for name, kind in features.items() if kind == CATEGORY and name not in target_encoded]
    many = [name for name in features if name in target_encoded]
    # Keep empty columns, because a fold of a search may lack all values of a column.
    scale = Pipeline([("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)), ("scale", StandardScaler())])
    encode = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=MOST_CATEGORIES, sparse_output=False)
    means = TargetEncoder(target_type=target_type, random_state=seed)
    parts = [("numbers", scale, numbers), ("categories", encode, categories), ("many_valued", means, many)]
    return Pipeline([("preprocessing", ColumnTransformer([part for part in parts if part[2]])), ("model", estimator)])


def many_valued(prepared: pd.DataFrame, features: Mapping[str, str], encoding: str) -> list[str]:
    """Return the features to encode as the mean of the target.

    Args:
        prepared: Prepared features.
        features: Kind of each feature.
        encoding: ``automatic`` (those with more than 50 values), ``target`` (all) or ``one-hot`` (none).
    """
    categories = [name for name, kind in features.items() if kind == CATEGORY and encoding != "one-hot"]
    return [name for name in categories if encoding == "target" or prepared[name].nunique() > MOST_CATEGORIES]
