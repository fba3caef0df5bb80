"""A degraded champion in words: the headline and sections of the run page, and the lines of the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.page import Section, Table, format_number
from evergreen.reporting.repair_times import day_of

if TYPE_CHECKING:
    from evergreen.results.repair import Attempt, ProposedSetting, Repair

MOST_LINES = 4
"""Number of attempts on the terminal; the run page has all of them."""

NO_SETTING = "No setting is known to help; a better model needs more rows since the change, or other features."


def since_words(repair: Repair) -> str:
    """Return since when, for a headline: ``since 9 October 2021``; empty if unknown."""
    return f" since {day_of(repair.since)}" if repair.since else ""


def repair_sections(repair: Repair) -> list[Section]:
    """Return the sections of the run page about a degraded champion.

    Args:
        repair: Why it was not repaired.
    """
    sections = [Section("Why it is not repaired", [repair.why, repair.since_sentence])]
    if repair.tried:
        rows = [(f"{attempt.by}: {attempt.name}", attempt.rows, attempt.score, attempt.champion_score, attempt.gain, attempt.why) for attempt in repair.tried]
        note = f"Scores are {repair.metric}; higher is better. Each line has rows of its own, so compare a score with the champion's in the same line."
        sections.append(Section("What was tried", table=Table(["tried", "rows learned from", "score", "champion", "gain", "why not"], rows, note=note)))
    else:
        sections.append(Section("What was tried", ["Nothing: no challenger was trained in this run."]))
    if repair.settings:
        listed = [(setting.name, setting.current or None, setting.proposed, _place(setting), setting.effect) for setting in repair.settings]
        note = "All of these are needed together." if repair.all_needed else "Either of these may be enough." if len(listed) > 1 else ""
        sections.append(Section("What would probably help", table=Table(["setting", "now", "proposed", "where", "effect"], listed, note=note)))
    elif repair.cause != "failed":
        sections.append(Section("What would probably help", [NO_SETTING]))
    sections.append(Section("What happens next", bullets=repair.next_steps))
    return sections


def repair_lines(repair: Repair) -> list[str]:
    """Return the same facts as lines for a terminal, without the headline; a line that starts with a space belongs to the one above it."""
    lines = [f"Why: {repair.why}", f"Since when: {repair.since_sentence}"]
    lines.append("Tried:" if repair.tried else "Tried: nothing; no challenger was trained in this run.")
    lines += [f"  {_attempt_words(attempt)}" for attempt in _shown(repair.tried)]
    if len(repair.tried) > MOST_LINES:
        lines.append(f"  and {len(repair.tried) - MOST_LINES} more; see the run report.")
    if repair.settings:
        lines.append("Would probably help (all together):" if repair.all_needed else "Would probably help:")
        lines += [f"  {setting_words(setting)}" for setting in repair.settings]
    elif repair.cause != "failed":
        lines.append(f"Would probably help: {NO_SETTING[0].lower()}{NO_SETTING[1:]}")
    lines.append("Next:")
    lines += [f"  {sentence}" for sentence in repair.next_steps]
    return lines


def setting_words(setting: ProposedSetting) -> str:
    """Return a proposed setting as one sentence with both values."""
    if setting.kind == "command":
        return f"{setting.proposed} ({setting.effect.rstrip('.')})"
    return f"{setting.name}: {setting.proposed} in {_place(setting)} (now {setting.current}). {setting.effect}"


def _place(setting: ProposedSetting) -> str:
    return {"policy": "the policy", "parameter": "the parameters", "command": "a terminal"}[setting.kind]


def _shown(tried: list[Attempt]) -> list[Attempt]:
    """Return the attempts that fit on a terminal: the gate's, and of the others those with the highest gains."""
    if len(tried) <= MOST_LINES:
        return tried
    ranked = sorted(tried, key=lambda attempt: (attempt.by == "gate", attempt.gain if attempt.gain is not None else float("-inf")), reverse=True)
    kept = ranked[:MOST_LINES]
    return [attempt for attempt in tried if attempt in kept]


def _attempt_words(attempt: Attempt) -> str:
    rows = f", {attempt.rows:,} rows" if attempt.rows else ""
    score = "not scored" if attempt.score is None else format_number(attempt.score)
    against = "" if attempt.champion_score is None else f" against the champion's {format_number(attempt.champion_score)}"
    return f"{attempt.by}: {attempt.name}{rows}: {score}{against}. {attempt.why}"
