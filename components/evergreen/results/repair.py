"""A degraded champion that stays in service: since when, what was tried, what would probably help, and what happens next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

NOT_REPAIRED = "degraded, not repaired"
"""Outcome of a run that measured degraded performance and promoted nothing."""

SettingKind = Literal["policy", "parameter", "command"]
SinceSource = Literal["change point", "first degraded window", "unknown"]


@dataclass(frozen=True)
class ProposedSetting:
    """A setting that would probably help, with its current and its proposed value.

    Attributes:
        kind: ``policy`` for a setting of the policy, ``parameter`` for a parameter of the pipeline, ``command`` for a command to run.
        name: Name of the setting, with its section: ``gate.stale_champion``; for a command, what it does.
        current: Current value, as YAML; empty for a command.
        proposed: Proposed value, as YAML; for a command, the command line.
        effect: What the change does, in one sentence.
    """

    kind: SettingKind
    name: str
    current: str
    proposed: str
    effect: str


@dataclass(frozen=True)
class Outlook:
    """What the policy knows about a degraded champion when it decides; its fields are those of ``outlook`` in the decision.

    Attributes:
        first_window_end: End of the first window in a row in which performance was degraded, ISO, UTC, or ``latest``.
        windows: Number of windows in a row in which it was measured as degraded, the newest included.
        next_window_end: Expected end of the next window, ISO, UTC, judging by the distance between earlier windows; empty if there is none.
        windows_to_wait: Number of windows until the policy retrains if performance stays as it is and this run repairs nothing; None if it would
            not within the foreseeable future.
        retrains_at: Expected end of that window, ISO, UTC; empty if unknown.
        waits_until: Time at which a cool-down ends or a budget allows another retraining, ISO, UTC; empty if neither holds the retraining back.
        settings: Settings that would have let the retraining through; if it was not held back, settings with which the
            rows to learn from would be chosen, or the next retraining would come sooner.
        all_needed: Whether all of these settings are needed together.
    """

    first_window_end: str
    windows: int = 1
    next_window_end: str = ""
    windows_to_wait: int | None = None
    retrains_at: str = ""
    waits_until: str = ""
    settings: list[ProposedSetting] = field(default_factory=list)
    all_needed: bool = False


@dataclass(frozen=True)
class Attempt:
    """Something that was tried instead of the champion.

    Attributes:
        by: ``probe``, ``choice of training rows`` or ``gate``.
        name: What was tried, for a person.
        rows: Number of rows that it was fitted on; None if unknown.
        score: Its score; None if it was not scored.
        champion_score: The champion's score on the same rows; None if unknown.
        gain: Its score minus the champion's; None if one of them is unknown.
        why: Why it did not replace the champion.
    """

    by: Literal["probe", "choice of training rows", "gate"]
    name: str
    rows: int | None = None
    score: float | None = None
    champion_score: float | None = None
    gain: float | None = None
    why: str = ""


@dataclass(frozen=True)
class Repair:
    """Why a degraded champion was not repaired, for the report of a run.

    Attributes:
        since: Event time since which the champion is degraded, ISO, UTC; empty if unknown.
        since_source: ``change point`` (estimated from the champion's errors), ``first degraded window`` (its start) or ``unknown``.
        since_sentence: The same in one sentence.
        cause: Why it was not repaired, in a word: the policy's rule that kept the champion, or ``rejected``, ``dry run``, ``waiting for approval``,
            ``failed`` or ``not promoted``.
        why: The same in one sentence.
        metric: The metric of the scores.
        tried: What was tried.
        settings: Settings that would probably help, at most two unless more are needed together.
        all_needed: Whether all of these settings are needed together.
        next_steps: What happens next and when, one sentence each.
    """

    since: str
    since_source: SinceSource
    since_sentence: str
    cause: str
    why: str
    metric: str = ""
    tried: list[Attempt] = field(default_factory=list)
    settings: list[ProposedSetting] = field(default_factory=list)
    all_needed: bool = False
    next_steps: list[str] = field(default_factory=list)
