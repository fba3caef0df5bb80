"""The baseline of a champion, recorded at its promotion: its score, errors, calibration and training data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from evergreen.results.reading import JsonResult

IDENTITY = ("present", "model_name", "version", "model_uri", "promoted_at")
"""Keys that load_champion adds to the file stored with a version."""


@dataclass(frozen=True)
class Calibration:
    """How well predicted probabilities match observed frequencies.

    Attributes:
        error: Expected calibration error: the mean gap, weighted by rows.
        predicted: Mean predicted probability in each bin.
        observed: Observed share of rows in each bin.
        rows: Number of rows in each bin.
    """

    error: float
    predicted: list[float]
    observed: list[float]
    rows: list[int]


@dataclass(frozen=True)
class ErrorSummary:
    """A model's errors on the rows it was evaluated on.

    Attributes:
        measure: ``log loss``, ``wrong`` or ``residual``.
        rows: Number of rows.
        values: Their sorted errors; for more than 1,000 rows, evenly spaced quantiles.
    """

    measure: str
    rows: int = 0
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Baseline(JsonResult):
    """What monitoring compares a champion with. Keys missing from files of older Evergreen versions take their defaults.

    Attributes:
        task: ``classification`` or ``regression``.
        metric: The gate's metric.
        score: The score at promotion.
        lower: Lower bound of its interval.
        upper: Upper bound of its interval.
        rows: Number of rows it was evaluated on.
        naive_score: Score of the constant baseline.
        calibration: Calibration of its probabilities.
        errors: Summary of its errors.
        fit_start: First event time in its training rows, ISO, UTC.
        fit_end: Event time (exclusive) up to which it has seen rows, ISO, UTC.
        features: Kind of each feature.
        importances: Importance of each feature.
        challenger_id: The challenger that was registered.
        evaluated_challenger_id: The challenger that the gate evaluated; a different one if it was refitted on all rows.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        training_manifest: Origin of its training rows.
        model_name: Name of the registered model; empty in the file stored with a version.
        version: Its version; empty in that file.
        model_uri: Its MLflow URI; empty in that file.
        promoted_at: Time of its promotion, ISO, UTC; empty if unknown.
    """

    written_by: ClassVar[str] = "load_champion"

    task: str = ""
    metric: str = ""
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    rows: int | None = None
    naive_score: float | None = None
    calibration: Calibration | None = None
    errors: ErrorSummary | None = None
    fit_start: str = ""
    fit_end: str = ""
    features: dict[str, Any] = field(default_factory=dict)
    importances: dict[str, float | None] = field(default_factory=dict)
    challenger_id: str = ""
    evaluated_challenger_id: str = ""
    target_column: str = ""
    timestamp_column: str = ""
    training_manifest: dict[str, Any] = field(default_factory=dict)
    model_name: str = ""
    version: str = ""
    model_uri: str = ""
    promoted_at: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the baseline as stored with a version, without the keys that identify the version."""
        stored = {name: value for name, value in asdict(self).items() if name not in IDENTITY}
        # Part of the format for readers other than Evergreen: scores follow scikit-learn.
        return {**stored, "higher_is_better": True}
