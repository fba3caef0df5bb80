"""The result of evaluate_model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from evergreen.data.artifacts import Origin  # noqa: TC001 - the types of fields are read at run time
from evergreen.data.json_values import plain
from evergreen.results.baseline import Calibration, ErrorSummary  # noqa: TC001 - the types of fields are read at run time
from evergreen.results.reading import JsonResult


@dataclass
class Evaluation(JsonResult):
    """The result of the comparison; its fields are those of the evaluation artifact.

    ``origin`` is ``trained``, ``former champion`` (then ``former_version`` is its version) or ``constant baseline``. ``folds`` is the number of parts
    of repeated forward validation whose predictions were pooled; 1 for a single holdout. A score that could not be measured is None. Higher is
    better for every metric. ``serving`` contains the policy's limits for the model in a fresh process, which also apply to the registered model.
    """

    written_by: ClassVar[str] = "evaluate_model"

    verdict: Literal["promote", "reject"]
    conclusion: str = "no conclusion"
    task: str = ""
    metric: str = ""
    margin: float = 0.0
    rows: int = 0
    rows_seen_by_champion: int = 0
    champion_version: str = "unknown"
    challenger_id: str = ""
    reasons: list[str] = field(default_factory=list)
    holdout_window: dict[str, str] = field(default_factory=lambda: {"start": "", "end": ""})
    sentence: str = ""
    challenger_score: float | None = None
    challenger_lower: float | None = None
    challenger_upper: float | None = None
    champion_score: float | None = None
    champion_lower: float | None = None
    champion_upper: float | None = None
    difference: float | None = None
    difference_lower: float | None = None
    difference_upper: float | None = None
    naive_score: float | None = None
    scores: dict[str, float | None] = field(default_factory=dict)
    champion_scores: dict[str, float | None] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    slices: list[dict[str, Any]] = field(default_factory=list)
    calibration: Calibration | None = None
    errors: ErrorSummary | None = None
    paired_test: dict[str, Any] | None = None
    importances: dict[str, float | None] = field(default_factory=dict)
    changes: list[dict[str, str]] = field(default_factory=list)
    serving: dict[str, Any] = field(default_factory=dict)
    check_rows: list[dict[str, Any]] = field(default_factory=list)
    check_predictions: list[Any] = field(default_factory=list)
    origin: Origin = "trained"
    former_version: str = ""
    folds: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON values."""
        # Part of the format for readers other than Evergreen: scores follow scikit-learn.
        return {**asdict(self), "higher_is_better": True}

    def without_rows(self) -> dict[str, Any]:
        """Return the evaluation as plain values without check rows and errors of single rows, as kept in the step's record."""
        content: dict[str, Any] = plain({name: value for name, value in self.to_json().items() if not name.startswith("check_") and name != "errors"})
        return content
