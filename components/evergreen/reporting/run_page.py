"""The run report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from evergreen.data.json_values import plain
from evergreen.reporting.challenger_text import choice_section, origin_words, pooled_sentence
from evergreen.reporting.page import Link, Section, Table, Tone, format_number, render_page
from evergreen.reporting.repair_text import repair_sections, since_words
from evergreen.secrets.addresses import without_password

if TYPE_CHECKING:
    from evergreen.reporting.summary import RunSummary
    from evergreen.results.evaluation import Evaluation
    from evergreen.results.repair import Repair

_TONES: dict[str, Tone] = {"failed": "bad", "promoted": "good", "waiting for approval": "warning", "kept": "good"}


def run_page(summary: RunSummary, *, tracking_uri: str = "none") -> str:
    """Render the report of a run as HTML.

    Args:
        summary: Summary of the run.
        tracking_uri: Address of the MLflow server; a password in it is hidden.
    """
    sections = repair_sections(summary.repair) if summary.repair else []
    if summary.error:
        sections.append(Section("Error", preformatted=summary.error))
    if summary.problems:
        sections.append(Section("Unreadable records", bullets=summary.problems))
    if summary.decision or summary.reasons:
        sections.append(Section("Decision", [f"The decision was to {_decision_words(summary.decision)}."], bullets=summary.reasons))
    if summary.choice is not None and summary.repair is None:
        # Otherwise the candidates stand among what was tried.
        sections.append(choice_section(summary.choice))
    if summary.evaluation is not None:
        sections.append(_evaluation_section(summary.evaluation))
    sections.append(Section("Champion", table=Table(["", "version"], [("before the run", summary.champion_before), ("after the run", summary.champion_after)])))
    if summary.steps:
        sections.append(_steps_section(summary))
    if summary.reports:
        rows = [(name.partition("/")[0], Link(name.partition("/")[2].replace("_", " "), uri), uri) for name, uri in summary.reports.items()]
        sections.append(Section("Reports", table=Table(["step", "report", "location"], rows)))
    sections.append(_run_section(summary, tracking_uri))
    return render_page(f"Run of {summary.model_name}", verdict_of(summary), tone_of(summary), sections)


def tone_of(summary: RunSummary) -> Tone:
    """Return the colour of a run's verdict: a degraded champion that stays is bad, however the run ended."""
    return "bad" if summary.repair else _TONES.get(summary.outcome, "neutral")


def verdict_of(summary: RunSummary) -> str:
    """Return the outcome of a run in one sentence."""
    before, after = summary.champion_before, summary.champion_after
    champion = "There is no champion." if before == "none" else f"Version {before} remains the champion."
    if summary.repair is not None:
        return _unrepaired_verdict(summary, summary.repair, champion)
    if summary.outcome == "promoted":
        return f"Promoted: version {after} is the champion" + ("." if before == "none" else f", replacing version {before}.")
    if summary.outcome == "failed" and after != before:
        return f"Failed after the promotion: version {after} is the champion."
    return {
        "failed": f"Failed. {champion}",
        "already champion": f"Nothing to do: this challenger is already the champion (version {after}).",
        "waiting for approval": f"Waiting for approval: a better challenger is ready. {champion}",
        "dry run": f"Dry run: the challenger passed but was not promoted. {champion}",
        "kept": f"Kept. {champion}",
        "rejected": f"Rejected: the challenger did not pass. {champion}",
        "rolled back": "Rolled back: a previous version serves again.",
        "compared": "Compared: the policies were replayed; nothing was changed.",
        "searched": f"Searched: hyperparameters were chosen and a challenger was trained with them. {champion}",
        "drift measured": f"Drift measured; nothing was changed. {champion}",
    }[summary.outcome]


def _unrepaired_verdict(summary: RunSummary, repair: Repair, champion: str) -> str:
    since = since_words(repair)
    return {
        "failed": f"Failed, and the champion is degraded{since}, not repaired. {champion}",
        "waiting for approval": f"Waiting for approval: a better challenger is ready, but the champion is degraded{since}. {champion}",
    }.get(summary.outcome, f"Degraded{since}, not repaired. {champion}")


def _decision_words(decision: str) -> str:
    return {"retrain": "retrain", "keep": "keep the champion"}.get(decision, decision or "do nothing")


def _evaluation_section(evaluation: Evaluation) -> Section:
    rows = [
        ("challenger", evaluation.challenger_score, evaluation.challenger_lower, evaluation.challenger_upper),
        ("champion", evaluation.champion_score, evaluation.champion_lower, evaluation.champion_upper),
        ("difference", evaluation.difference, evaluation.difference_lower, evaluation.difference_upper),
        ("constant baseline", evaluation.naive_score, None, None),
    ]
    shown = [row for row in rows if row[1] is not None]
    facts = [f"Verdict: {evaluation.verdict} ({evaluation.conclusion})."]
    if evaluation.sentence:
        facts.insert(0, evaluation.sentence)
    facts.append(f"Measured on {format_number(evaluation.rows)} holdout rows, by {evaluation.metric or 'an unknown metric'}.")
    if pooled := pooled_sentence(evaluation):
        facts.append(pooled)
    if evaluation.origin != "trained":
        facts.append(f"The challenger is a {origin_words(evaluation)}." if evaluation.former_version else "The challenger is the constant baseline.")
    table = Table(["", "score", "lower", "upper"], shown) if shown else None
    return Section("Evaluation", facts, table, bullets=[reason for reason in evaluation.reasons if reason not in facts])


def _number(value: Any) -> float | int | None:
    number = plain(value)
    return number if isinstance(number, (int, float)) and not isinstance(number, bool) else None


def _steps_section(summary: RunSummary) -> Section:
    rows = [(step["step_name"], step["state"], step["outcome"] or None, _number(step["duration_s"]), step["started_at"] or None) for step in summary.steps]
    return Section("Steps", table=Table(["step", "state", "outcome", "seconds", "started (UTC)"], rows))


def _run_section(summary: RunSummary, tracking_uri: str) -> Section:
    rows = [
        ("run", summary.run_id),
        ("model", summary.model_name),
        ("outcome", summary.outcome),
        ("started (UTC)", summary.started_at or None),
        ("seconds", format_number(summary.duration_s)),
        ("registry", without_password(tracking_uri)),
        ("KFP status", summary.final_status.get("state") or None),
    ]
    return Section("Run", table=Table(["", "value"], rows))
