"""What is known of a champion from its promotion: its score, its errors and calibration, and what it was fitted on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

from evergreen.results.reading import JsonResult

IDENTITY = ("present", "model_name", "version", "model_uri", "promoted_at")
"""What load_champion adds to the file that was stored with a version."""


@dataclass(frozen=True)
class Calibration:
    """How probabilities agree with what happened.

    Attributes:
        error: Expected calibration error: the mean gap, weighted with rows.
        predicted: Mean probability in each bin.
        observed: Share of rows in each bin for which it came true.
        rows: Rows in each bin.
    """

    error: float
    predicted: list[float]
    observed: list[float]
    rows: list[int]


@dataclass(frozen=True)
class ErrorSummary:
    """How wrong a model was about the rows that it was judged on.

    Attributes:
        measure: ``log loss``, ``wrong`` or ``residual``.
        rows: Number of rows.
        values: Their errors in order; of more than 1,000 rows evenly spaced quantiles.
    """

    measure: str
    rows: int = 0
    values: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Baseline(JsonResult):
    """What monitoring compares a champion with. A key that an older version of Evergreen did not write has its default.

    Attributes:
        task: ``classification`` or ``regression``.
        metric: The metric of the gate.
        score: The score at promotion.
        lower: Lower end of its interval.
        upper: Upper end of its interval.
        rows: Rows that it was judged on.
        naive_score: Score of the best constant.
        calibration: Of its probabilities.
        errors: Its errors.
        fit_start: First event time that it was fitted on, ISO, UTC.
        fit_end: Event time up to which (exclusive) it has seen rows, ISO, UTC.
        features: Kind of each feature.
        importances: Importance of each feature.
        challenger_id: The challenger that was registered.
        evaluated_challenger_id: The challenger that the gate judged; another one where it was fitted again on all rows.
        target_column: The label.
        timestamp_column: The event time.
        training_manifest: Where its rows came from.
        model_name: Name of the registered model; empty in the file that is stored with a version.
        version: Its version; empty in that file.
        model_uri: Its address in MLflow; empty in that file.
        promoted_at: When it became champion, ISO, UTC; empty when that is not known.
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
        """Return the baseline as it is stored with a version, before anybody is told which version that is."""
        stored = {name: value for name, value in asdict(self).items() if name not in IDENTITY}
        # A part of the format for readers that are not Evergreen: scores follow scikit-learn.
        return {**stored, "higher_is_better": True}
