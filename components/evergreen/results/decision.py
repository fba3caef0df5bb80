"""The decision of decide_retraining: an artifact, a step's record, and evidence in the ledger."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Literal

from evergreen.results.reading import JsonResult

TriggerVerdict = Literal["fired", "quiet", "cannot tell"]


@dataclass(frozen=True)
class Trigger:
    """What one trigger says.

    Attributes:
        name: Its name.
        value: What it measured.
        threshold: From where on it fires; None when it has no number.
        verdict: ``fired``, ``quiet`` or ``cannot tell``.
        sentence: The same in one sentence, with numbers.
    """

    name: str
    value: float | str | None
    threshold: float | str | None
    verdict: TriggerVerdict
    sentence: str = ""


@dataclass(frozen=True)
class Measurement:
    """The champion's score in a window, which later decisions compare with.

    Attributes:
        metric: The metric.
        score: The score.
        lower: Lower end of its 95 % interval.
        upper: Upper end of its 95 % interval.
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
        alert: Whether a person should look, although (or while) nothing is retrained.
        rule: Name of what decided: a trigger's; ``hysteresis``, ``cooldown``, ``budget`` or ``veto_...`` when that held a trigger back;
            ``alert_only`` or ``all_quiet``.
        triggers: What each trigger said.
        mode: The mode it was decided in.
        policy: The policy it was decided by.
        window_end: End of the watched window, ISO, UTC, or ``latest``.
        rows: Rows of the watched window.
        change: What moved, the inputs or their relation to the label, in a sentence; empty when neither can be told.
        measured: The champion's metric, score and interval in this window, for later decisions; None (in JSON an empty object) when it was not measured.
        training_since: Since when rows tell of one and the same relation, so that a challenger may learn from them although they are older than
            the training window, ISO, UTC; empty when it learns from the training window only.
        champion_stale: Whether something is known against the champion beside its challenger: degraded performance, or its age.
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

    def __post_init__(self) -> None:
        # What was not measured is an empty object in JSON.
        if self.measured == Measurement():
            object.__setattr__(self, "measured", None)

    def to_json(self) -> dict[str, Any]:
        """Return the decision as plain JSON values."""
        return {**asdict(self), "measured": asdict(self.measured) if self.measured else {}}

    @property
    def fired(self) -> tuple[str, ...]:
        """Names of the triggers that fired."""
        return tuple(trigger.name for trigger in self.triggers if trigger.verdict == "fired")
