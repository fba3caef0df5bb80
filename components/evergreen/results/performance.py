"""What monitor_performance found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from evergreen.results.reading import JsonResult

PerformanceVerdict = Literal["holds", "degraded", "cannot tell", "no champion"]
ErrorVerdict = Literal["changed", "unchanged", "cannot tell"]
UnlabelledVerdict = Literal["alike", "different", "cannot tell", "nothing to compare"]


@dataclass(frozen=True)
class Estimate:
    """An estimate of the score on rows without labels; its fields are those of ``estimate`` in the performance result.

    Attributes:
        available: Whether there is one.
        sentence: The estimate in words, or why there is none.
        metric: The metric.
        score: The estimated score.
        lower: Lower end of its 95 % interval.
        upper: Upper end of its 95 % interval.
        drop: The baseline's score minus the estimate.
        drop_lower: Lower end of the drop's 95 % interval.
        drop_upper: Upper end of the drop's 95 % interval.
        verdict: ``degraded`` when the estimated drop is significant and larger than the margin, else ``holds``; empty when there is no estimate.
        rows: Number of rows that it is about.
        calibration_error: The baseline's expected calibration error.
    """

    available: bool
    sentence: str
    metric: str = ""
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    drop: float | None = None
    drop_lower: float | None = None
    drop_upper: float | None = None
    verdict: Literal["holds", "degraded", ""] = ""
    rows: int = 0
    calibration_error: float | None = None


@dataclass(frozen=True)
class ErrorDrift:
    """How errors changed; its fields are those of ``errors`` in the performance result.

    Attributes:
        verdict: ``changed``, ``unchanged`` or ``cannot tell``.
        sentence: The same in words.
        worse: Whether they are larger than at promotion.
        measure: ``log loss``, ``wrong`` or ``residual``.
        severity: ``none``, ``slight``, ``moderate`` or ``severe``, as for the drift of a feature.
        mean_before: Mean error at promotion; of residuals the mean distance from zero.
        mean_now: Mean error now.
        edges: Edges of the bins of both histograms.
        before: Rows in each bin at promotion.
        now: Rows in each bin now.
    """

    verdict: ErrorVerdict
    sentence: str = ""
    worse: bool = False
    measure: str = ""
    severity: str = "none"
    mean_before: float | None = None
    mean_now: float | None = None
    edges: list[float] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    now: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class SliceResult:
    """The champion on a part of the rows.

    Attributes:
        name: The slice.
        rows: Its rows.
        verdict: ``scored``, ``too few rows`` or ``metric not defined``.
        score: The score on it; None when it was not scored.
        lower: Lower end of its interval.
        upper: Upper end of its interval.
    """

    name: str
    rows: int
    verdict: str
    score: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class ColumnDifference:
    """A column in which unlabelled rows differ from labelled ones."""

    name: str
    severity: str
    reason: str


@dataclass(frozen=True)
class UnlabelledComparison:
    """Whether rows without a label differ from those with one.

    Attributes:
        verdict: ``alike``, ``different``, ``cannot tell`` or ``nothing to compare``.
        sentence: The same in words.
        features: The columns that differ.
    """

    verdict: UnlabelledVerdict
    sentence: str
    features: list[ColumnDifference] = field(default_factory=list)


@dataclass(frozen=True)
class PerformanceResult(JsonResult):
    """How the champion does now, beside how it did; its fields are those of the performance result.

    Scores follow scikit-learn: higher is better. ``drop`` is the baseline's score minus the present one. What could not be measured is None.
    ``estimate`` is about rows without labels, ``slices`` and ``worst_slice`` about parts of the rows, ``errors`` about the errors beside those
    at promotion, and ``unlike`` says whether logged rows without a label differ from those with one.
    """

    written_by: ClassVar[str] = "monitor_performance"

    verdict: PerformanceVerdict
    metric: str = ""
    score: float | None = None
    lower: float | None = None
    upper: float | None = None
    baseline_score: float | None = None
    baseline_lower: float | None = None
    baseline_upper: float | None = None
    drop: float | None = None
    drop_lower: float | None = None
    drop_upper: float | None = None
    margin: float = 0.0
    rows: int = 0
    rows_unlabelled: int = 0
    rows_seen_by_champion: int = 0
    sentence: str = ""
    predictions: str = "champion"
    rows_other_versions: int = 0
    estimate: Estimate | None = None
    slices: list[SliceResult] = field(default_factory=list)
    worst_slice: SliceResult | None = None
    errors: ErrorDrift | None = None
    unlike: UnlabelledComparison | None = None

    @property
    def measured(self) -> bool:
        """Whether labels told how the champion does."""
        return self.verdict in ("holds", "degraded")
