"""Converts table columns to model inputs: features, labels and event times.

Fitting, scoring and serving all use this module so that they agree on types. Every number, boolean and date reaches the
model as float64 and every category as text, as the model's MLflow signature states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen.errors import ArtifactError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NUMBER, CATEGORY, BOOLEAN, DATE = "number", "category", "boolean", "date"


def prepare_features(frame: pd.DataFrame, features: Mapping[str, str]) -> pd.DataFrame:
    """Return the described features in order, cast to the types that the model expects.

    Args:
        frame: Rows with at least the features; other columns are dropped.
        features: Kind of each feature: ``number``, ``category``, ``boolean`` or ``date``.

    Returns:
        One output row per input row. Numbers, booleans (0 and 1) and dates (days since 1970-01-01, UTC) are float64, and NaN when missing
        or infinite; categories are text, and None when missing. Columns may share memory with the input: do not modify them in place.

    Raises:
        ArtifactError: A column is missing, or holds values of another kind.
    """
    missing = [name for name in features if name not in frame.columns]
    if missing:
        raise ArtifactError(
            f"columns {', '.join(missing)}: missing; the table has {', '.join(map(str, frame.columns))}. Add the columns that the model was fitted on."
        )
    prepared = {name: _prepare(frame[name], kind) for name, kind in features.items()}
    return pd.DataFrame(prepared, index=frame.index, columns=list(features), copy=False)


def _prepare(column: pd.Series[Any], kind: str) -> Any:
    try:
        if kind == CATEGORY:
            if pd.api.types.infer_dtype(column, skipna=True) == "string":
                # The values are already text: handling each distinct value once is a tenth of the work.
                codes, distinct = pd.factorize(column.astype(object), use_na_sentinel=True)
                return np.array([*distinct, None], dtype=object)[codes]
            return np.array([None if missing else _category_text(value) for value, missing in zip(column, column.isna(), strict=True)], dtype=object)
        if kind == DATE:
            days: Any = (event_times(column) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
            return days.to_numpy(dtype=np.float64)
        typed = column.astype("boolean") if kind == BOOLEAN else pd.to_numeric(column)
        numbers = typed.to_numpy(dtype=np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"column {column.name!r}: holds {column.dtype} values where the model expects a {kind}: {error}. Convert it to the type it had at training."
        ) from error
    # Allocating memory costs more than checking: return the array itself if all values are finite.
    finite = np.isfinite(numbers)
    return numbers if finite.all() else np.where(finite, numbers, np.nan)


def _category_text(value: Any) -> str:
    # An integer becomes a float once its column has a missing value; it must remain the same category.
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def prepare_labels(labels: pd.Series[Any], classes: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return labels as the type of the model's classes, or as float64 for regression.

    Args:
        labels: One label per row, without missing values.
        classes: The model's classes, all booleans, all integers or all text; empty for regression.

    Raises:
        ArtifactError: The labels cannot be converted to that type.
    """
    expected = type(classes[0]).__name__ if classes else "float"
    try:
        if expected == "str":
            return labels.astype(str).to_numpy(dtype=object)
        numbers = pd.to_numeric(labels.astype("boolean") if labels.dtype == object and expected == "bool" else labels).to_numpy(dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise ArtifactError(
            f"label {labels.name!r}: holds {labels.dtype} values where the model expects {expected}: {error}. Score it on labels of the type it was trained on."
        ) from error
    if not classes:
        return numbers
    if not np.equal(numbers, np.round(numbers)).all():
        raise ArtifactError(
            f"label {labels.name!r}: holds fractions where the model expects the classes {list(classes)}. Score it on labels of the type it was trained on."
        )
    return numbers.astype(bool if expected == "bool" else np.int64)


def event_times(column: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    """Return a column of times in UTC; times without a time zone are taken as UTC.

    Raises:
        ArtifactError: The column does not hold times.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        raise ArtifactError(f"column {column.name!r}: expected times, found {column.dtype}. Specify the column that holds the event time.")
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        in_utc: pd.Series[pd.Timestamp] = column.dt.tz_convert("UTC")
        return in_utc
    try:
        try:
            # Clients may write times with and without fractional seconds into one column.
            return pd.to_datetime(column, utc=True, format="ISO8601")
        except (ValueError, TypeError):
            return pd.to_datetime(column, utc=True)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArtifactError(f"column {column.name!r}: expected times, found {column.dtype}: {error}. Specify the column that holds the event time.") from error
