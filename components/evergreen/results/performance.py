"""The result of monitor_performance."""

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
        available: Whether there is an estimate.
        sentence: The estimate in words, or why there is none.
        metric: The metric.
        score: The estimated score.
        lower: Lower bound of its 95 % interval.
        upper: Upper bound of its 95 % interval.
        drop: The baseline's score minus the estimate.
        drop_lower: Lower bound of the drop's 95 % interval.
        drop_upper: Upper bound of the drop's 95 % interval.
        verdict: ``degraded`` if the estimated drop is significant and larger than the margin, otherwise ``holds``; empty if there is no estimate.
        rows: Number of rows covered by the estimate.
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
        sentence: The result in one sentence.
        worse: Whether they are larger than at promotion.
        measure: ``log loss``, ``wrong`` or ``residual``.
        severity: ``none``, ``slight``, ``moderate`` or ``severe``, as for the drift of a feature.
        mean_before: Mean error at promotion; for residuals, the mean distance from zero.
        mean_now: Current mean error.
        edges: Edges of the bins of both histograms.
        before: Number of rows in each bin at promotion.
        now: Current number of rows in each bin.
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
    """The champion's score on a slice of the rows.

    Attributes:
        name: Name of the slice.
        rows: Number of its rows.
        verdict: ``scored``, ``too few rows`` or ``metric not defined``.
        score: The score on it; None if it was not scored.
        lower: Lower bound of its interval.
        upper: Upper bound of its interval.
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
        sentence: The result in one sentence.
        features: The columns that differ.
    """

    verdict: UnlabelledVerdict
    sentence: str
    features: list[ColumnDifference] = field(default_factory=list)


ProbeVerdict = Literal["better", "no better", "cannot tell"]


@dataclass(frozen=True)
class ProbedModel:
    """A small model that the probe fitted on the newest rows before the probed ones.

    Attributes:
        name: What it learned from, for a person: ``the last 90 days``.
        start: First event time that it learned from, ISO, UTC.
        rows: Number of rows that it was fitted on.
        score: Its score on the probed rows.
        gain: Its score minus the champion's on the same rows.
        gain_lower: Lower bound of the gain, corrected for the number of models.
    """

    name: str
    start: str = ""
    rows: int = 0
    score: float | None = None
    gain: float | None = None
    gain_lower: float | None = None


@dataclass(frozen=True)
class Probe:
    """Whether a new model would be better than the champion; its fields are those of ``probe`` in the performance result.

    Attributes:
        verdict: ``better``, ``no better`` or ``cannot tell``.
        sentence: The result in one sentence, with numbers.
        metric: The metric; higher is better.
        rows: Number of probed rows.
        start: First event time of the probed rows, ISO, UTC.
        champion_score: The champion's score on them.
        minimum_gain: Smallest gain that matters, in units of the metric.
        best: The model with the highest score; None if none was scored.
        models: All models.
    """

    verdict: ProbeVerdict
    sentence: str
    metric: str = ""
    rows: int = 0
    start: str = ""
    champion_score: float | None = None
    minimum_gain: float | None = None
    best: ProbedModel | None = None
    models: list[ProbedModel] = field(default_factory=list)


@dataclass(frozen=True)
class ExpectedScore:
    """The score expected of the champion from its track record: the promotion and the windows since in which it did not degrade, pooled.

    Attributes:
        score: The expected score.
        lower: Lower bound of its 95 % interval.
        upper: Upper bound of its 95 % interval.
        windows: Number of windows since the promotion that it rests on.
    """

    score: float
    lower: float
    upper: float
    windows: int


ExplanationVerdict = Literal["inputs", "relation", "both", "cannot tell"]


@dataclass(frozen=True)
class LossExplanation:
    """How much of a loss of performance the drift of the inputs explains; its fields are those of ``explained`` in the performance result.

    All bounds are those of 95 % intervals.

    Attributes:
        verdict: What changed: ``inputs``, ``relation`` (between inputs and label), ``both``, or ``cannot tell``.
        sentence: The result in one sentence, with both numbers.
        reason: Why it cannot be told; otherwise empty.
        measure: What was lost: ``score``, or what errors are measured in if they became larger without a significant loss of score.
        loss: The loss since promotion.
        loss_lower: Its lower bound.
        loss_upper: Its upper bound.
        explained: The part of the loss that the inputs' drift explains: how much worse models of the champion's recipe are on reference rows that are
            weighted to look like the window than on all of them. Negative if such rows are easier.
        explained_lower: Its lower bound.
        explained_upper: Its upper bound.
        unexplained: The rest of the loss.
        unexplained_lower: Its lower bound.
        unexplained_upper: Its upper bound.
        reference_rows: Number of reference rows used.
        effective_rows: Number of equally weighted rows that are as informative as the weighted ones.
        window_rows: Number of rows of the window used.
        features: Number of features that the rows were weighted by.
    """

    verdict: ExplanationVerdict
    sentence: str = ""
    reason: str = ""
    measure: str = ""
    loss: float | None = None
    loss_lower: float | None = None
    loss_upper: float | None = None
    explained: float | None = None
    explained_lower: float | None = None
    explained_upper: float | None = None
    unexplained: float | None = None
    unexplained_lower: float | None = None
    unexplained_upper: float | None = None
    reference_rows: int = 0
    effective_rows: float | None = None
    window_rows: int = 0
    features: int = 0


@dataclass(frozen=True)
class PerformanceResult(JsonResult):
    """The champion's current performance compared with its baseline; its fields are those of the performance result.

    Scores follow scikit-learn: higher is better. ``baseline_score`` is the score at promotion, and nothing else. ``expected`` is the score expected
    from the champion's track record; monitor_performance does not know it, decide_retraining does. ``drop`` is what the current score is compared
    with minus the current score: the expected score if there is one, otherwise the score at promotion. Values that could not be measured are None.
    ``estimate`` is about rows without labels, ``slices`` and ``worst_slice`` about slices of the rows, ``errors`` about the errors compared with
    those at promotion, ``unlike`` about whether logged rows without a label differ from those with one, and ``probe`` about whether a new
    model would be better. ``changed_at`` is the event time since which the champion's errors differ, ISO, UTC, and empty if no change was found;
    ``rows_since_change`` counts the labelled rows since then. ``explained`` is about how much of a loss the inputs' drift explains; None if nothing
    was lost.
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
    probe: Probe | None = None
    changed_at: str = ""
    rows_since_change: int = 0
    explained: LossExplanation | None = None
    expected: ExpectedScore | None = None

    @property
    def measured(self) -> bool:
        """Whether the performance was measured with labels."""
        return self.verdict in ("holds", "degraded")
