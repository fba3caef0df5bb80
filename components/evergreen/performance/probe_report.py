"""The probe, and when the champion's errors changed, in reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.page import Section, Table, format_number
from evergreen.reporting.repair_times import day_of

if TYPE_CHECKING:
    from evergreen.results.performance import PerformanceResult, Probe

HEADING = "Would a new model be better?"


def new_model_section(performance: PerformanceResult) -> Section | None:
    """Return a section on what a new model would bring, and on when the champion's errors changed; None if neither is known."""
    changed = change_sentence(performance.changed_at, performance.rows_since_change)
    if performance.probe is not None:
        return probe_section(performance.probe, changed)
    return Section("When the champion's errors changed", [changed]) if changed else None


def probe_section(probe: Probe, changed: str = "") -> Section:
    """Return a section on the probe: its sentence, and each of its models beside the champion.

    Args:
        probe: The probe.
        changed: A sentence on when the champion's errors changed; empty if there is none.
    """
    said = [probe.sentence, *([changed] if changed else [])]
    if probe.champion_score is None:
        return Section(HEADING, said)
    rows: list[list[str | float | None]] = [["the champion, as it is", None, probe.champion_score, None, None]]
    rows += [[model.name, model.rows or None, model.score, model.gain, model.gain_lower] for model in probe.models]
    note = (
        f"Scores are {probe.metric} on the newest {probe.rows:,} labelled rows, from {day_of(probe.start)} on; higher is better. Small models of the "
        "champion's recipe learn from the rows before them; they only show whether a retraining pays, and are never promoted. A model counts as better if it "
        f"gains at least {format_number(probe.minimum_gain, 2)} and the lower bound of its gain, which allows for the number of models, is above 0."
    )
    columns = ["Learned from", "Rows", "Score", "Gain", "Lower bound of the gain"]
    return Section(HEADING, said, table=Table(columns, rows, note=note))


def change_sentence(changed_at: str, rows: int) -> str:
    """Return one sentence on when the champion's errors changed; empty if no change is known.

    Args:
        changed_at: Event time since which they differ, ISO; empty if unknown.
        rows: Number of labelled rows since then; 0 if unknown.
    """
    if not changed_at:
        return ""
    come = f"; {rows:,} labelled rows have come since then" if rows > 1 else "; 1 labelled row has come since then" if rows else ""
    return f"The champion's errors changed around {day_of(changed_at)}, as estimated from the rows monitored so far{come}."
