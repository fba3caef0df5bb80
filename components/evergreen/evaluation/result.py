"""What a comparison found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain
from evergreen.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    from evergreen.metrics.predictions import Predictions


@dataclass
class Evaluation:
    """What the comparison found; its fields are those of the evaluation artifact.

    A score that could not be measured is None. Higher is better in every metric. ``serving`` holds the policy's limits for the
    model in a fresh process: the registered model has to keep them, too.
    """

    verdict: str
    conclusion: str
    task: str
    metric: str
    margin: float
    rows: int
    rows_seen_by_champion: int
    champion_version: str
    challenger_id: str
    reasons: list[str]
    holdout_window: dict[str, str]
    sentence: str = ""
    higher_is_better: bool = True
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
    scores: dict[str, float] = field(default_factory=dict)
    champion_scores: dict[str, float] = field(default_factory=dict)
    checks: list[dict[str, Any]] = field(default_factory=list)
    slices: list[dict[str, Any]] = field(default_factory=list)
    calibration: dict[str, Any] | None = None
    errors: dict[str, Any] | None = None
    paired_test: dict[str, Any] | None = None
    importances: dict[str, float] = field(default_factory=dict)
    changes: list[dict[str, str]] = field(default_factory=list)
    serving: dict[str, Any] = field(default_factory=dict)
    check_rows: list[dict[str, Any]] = field(default_factory=list)
    check_predictions: list[Any] = field(default_factory=list)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Evaluation:
        """Return what `evaluate_model` wrote.

        Raises:
            EvaluationError: Entries are missing or unknown.
        """
        try:
            return cls(**content)
        except TypeError as error:
            raise EvaluationError(f"evaluation: {error}. Give it the output of evaluate_model of the same version of Evergreen.") from error

    def without_rows(self) -> dict[str, Any]:
        """Return the evaluation as plain values without the check rows and the errors of single rows, as a step's record keeps it."""
        content: dict[str, Any] = plain({name: value for name, value in asdict(self).items() if not name.startswith("check_") and name != "errors"})
        return content


@dataclass(frozen=True)
class PredictionPair:
    """Predictions of both models on the rows compared; the champion's are None when it is absent or cannot be scored."""

    challenger: Predictions
    champion: Predictions | None = None
