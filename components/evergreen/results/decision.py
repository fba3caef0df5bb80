"""The decision of decide_retraining, stored as an artifact, in the step's record, and as evidence in the ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from evergreen.results.performance import ExpectedScore, LossExplanation  # noqa: TC001 - read at run time, for reading from JSON
from evergreen.results.reading import JsonResult
from evergreen.results.repair import Outlook  # noqa: TC001 - the types of fields are read at run time

TriggerVerdict = Literal["fired", "quiet", "cannot tell"]


@dataclass(frozen=True)
class Trigger:
    """The result of one trigger.

    Attributes:
        name: Name of the trigger.
        value: The measured value.
        threshold: The threshold at which it fires; None if it has none.
        verdict: ``fired``, ``quiet`` or ``cannot tell``.
        sentence: The result in one sentence, with numbers.
    """

    name: str
    value: float | str | None
    threshold: float | str | None
    verdict: TriggerVerdict
    sentence: str = ""


@dataclass(frozen=True)
class Measurement:
    """The champion's score in a window, for comparison by later decisions.

    Attributes:
        metric: The metric.
        score: The score.
        lower: Lower bound of its 95 % interval.
        upper: Upper bound of its 95 % interval.
    """

    metric: str = ""
    score: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Decision(JsonResult):
    """Whether to retrain, and why.

    Attributes:
        decision: ``retrain`` or ``keep``.
        reasons: Full sentences, the decisive one first.
        alert: Whether a person should take a look, with or without a retraining.
        rule: What decided: the name of a trigger; ``few_rows``, ``hysteresis``, ``back_off``, ``cooldown``, ``budget`` or ``veto_...`` if that held
            a trigger back; ``alert_only`` or ``all_quiet``.
        triggers: The result of each trigger.
        mode: The mode the decision was made in.
        policy: The policy the decision was made with.
        window_end: End of the monitored window, ISO, UTC, or ``latest``.
        rows: Number of rows in the monitored window.
        change: One sentence on what changed, the inputs or their relation to the label; empty if neither is known.
        measured: The champion's metric, score and interval in this window, for later decisions; None (in JSON an empty object) if not measured.
        training_since: Start of the period in which the relation between inputs and label has not changed, ISO, UTC. A challenger may learn from its
            rows even if they are older than the training window; empty if it learns from the training window only.
        champion_stale: Whether there is evidence against the champion apart from its challenger: degraded performance, or its age.
        choose_rows: Whether the relation between inputs and label may have changed, so that the rows to learn from are chosen among several windows.
        changed_at: Event time since which the champion's errors differ, ISO, UTC; empty if no change was found.
        at_promotion: The champion's metric, score and interval at promotion; None if unknown.
        expected: The score expected from its track record; None without a measured window since its promotion.
        explained: How much of a loss of performance the drift of the inputs explains; None if nothing was lost.
        outlook: What the policy knows about a degraded champion: since when, what would let a retraining through, and when it retrains next; None
            if performance is not degraded.
    """

    written_by: ClassVar[str] = "decide_retraining"

    decision: Literal["retrain", "keep"]
    reasons: list[str] = field(default_factory=list)
    alert: bool = False
    rule: str = ""
    triggers: list[Trigger] = field(default_factory=list)
    mode: str = "auto"
    policy: dict[str, Any] = field(default_factory=dict)
    window_end: str = "latest"
    rows: int = 0
    change: str = ""
    measured: Measurement | None = None
    training_since: str = ""
    champion_stale: bool = False
    choose_rows: bool = False
    changed_at: str = ""
    at_promotion: Measurement | None = None
    expected: ExpectedScore | None = None
    explained: LossExplanation | None = None
    outlook: Outlook | None = None

    def __post_init__(self) -> None:
        # In JSON, a missing measurement is an empty object.
        if self.measured == Measurement():
            object.__setattr__(self, "measured", None)

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON values."""
        return {**asdict(self), "measured": asdict(self.measured) if self.measured else {}}

    @property
    def fired(self) -> tuple[str, ...]:
        """Names of the triggers that fired."""
        return tuple(trigger.name for trigger in self.triggers if trigger.verdict == "fired")

    @property
    def champion_degraded(self) -> bool:
        """Whether the champion's performance is degraded."""
        # Decisions of releases without an outlook are told by their triggers.
        return self.outlook is not None or "performance" in self.fired
