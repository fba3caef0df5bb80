"""The model card: what the model is, what it was fitted on, how it performed, and where not to trust it (Mitchell et al., FAT* 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT
from evergreen.evaluation.checks import gravest_first
from evergreen.models.files import read_description
from evergreen.reporting.challenger_text import origin_words, pooled_sentence
from evergreen.reporting.page import Section, Table, Tone, format_cell, render_page
from evergreen.secrets.redaction import mask
from evergreen.version import installed_version

if TYPE_CHECKING:
    from evergreen.data.artifacts import ModelDescription
    from evergreen.results.evaluation import Evaluation

MOST_IMPORTANCES = 15


def write_model_card(evaluation: Evaluation, challenger: Any, *, card_artifact: Any, page_artifact: Any) -> None:
    """Write the challenger's model card as Markdown and as HTML.

    Args:
        evaluation: The evaluation.
        challenger: The challenger's artifact.
        card_artifact: Output artifact for the Markdown.
        page_artifact: Output artifact for the HTML.
    """
    for artifact, text in zip((card_artifact, page_artifact), model_card(evaluation, read_description(challenger.path)), strict=True):
        Path(artifact.path).parent.mkdir(parents=True, exist_ok=True)
        Path(artifact.path).write_text(text, encoding="utf-8")
        artifact.metadata[PRESENT] = True


def model_card(evaluation: Evaluation, description: ModelDescription) -> tuple[str, str]:
    """Return a model's card as Markdown and as HTML.

    Args:
        evaluation: The evaluation.
        description: Description of the model: the compared challenger, or the model its recipe produced from all rows.
    """
    sections = card_sections(evaluation, description)
    title = f"Model card: {description.target_column}"
    tone: Tone = "good" if evaluation.verdict == "promote" else "neutral"
    return mask(_markdown(title, evaluation.sentence, sections)), render_page(title, evaluation.sentence, tone, sections)


def card_sections(evaluation: Evaluation, description: ModelDescription) -> list[Section]:
    """Return the card's sections, the same for both formats."""
    hyperparameters = ", ".join(f"{name} = {value}" for name, value in sorted(description.hyperparameters.items())) or "the estimator's defaults"
    answers = f"one of {', '.join(map(str, description.classes[:20]))}" if description.classes else "a number"
    made: list[tuple[str, str | int | float | None]] = [
        *([("Origin", origin_words(description))] if description.origin != "trained" else []),
        ("Estimator", description.estimator),
        ("Hyperparameters", hyperparameters),
        ("Use of the rows", ", ".join(f"{name} = {value}" for name, value in sorted(description.training_options.items())) or "all weighted equally"),
        ("Seed", str(description.seed)),
        ("Identity", description.challenger_id),
        ("Fitted on rows", description.rows),
        ("Fitted on event times", f"{description.fit_start} up to {description.fit_end} (exclusive)"),
        ("Data", description.training_data_uri or "not recorded"),
        ("Data fingerprint", description.data_fingerprint),
        ("Software", ", ".join(f"{name} {version}" for name, version in sorted(library_versions().items()))),
    ]
    # Two columns, so that the finding can be read on a phone without scrolling.
    checks = [(f"{check['name']}: {check['verdict']}", check["sentence"]) for check in gravest_first(evaluation.checks)]
    important = sorted(description.importances.items(), key=lambda item: -item[1])[:MOST_IMPORTANCES]
    return [
        Section("What it does", paragraphs=[f"It predicts {description.target_column!r} from {len(description.features)} features. Its output is {answers}."]),
        Section("How it was built", table=Table(["Property", "Value"], made)),
        Section("Performance", table=_scores(evaluation, description)),
        Section("Performance on slices", table=_parts(evaluation)),
        Section("Checks", table=Table(["Check", "Finding"], checks) if checks else None),
        Section(
            "Most important features",
            table=Table(["Feature", "Importance"], important, note="Score drop when the feature is shuffled.") if important else None,
        ),
        Section("Features", table=Table(["Feature", "Kind"], sorted(description.features.items()))),
        Section("Where not to trust it", paragraphs=_limits(evaluation, description)),
    ]


def _scores(evaluation: Evaluation, description: ModelDescription) -> Table | None:
    if not evaluation.scores:
        return None
    compared = bool(evaluation.champion_scores)
    rows: list[list[str | float | None]] = [
        [name, value, *([evaluation.champion_scores.get(name)] if compared else [])] for name, value in sorted(evaluation.scores.items())
    ]
    columns = ["Metric", "This model", *(["Champion"] if compared else [])]
    return Table(columns, rows, note=_rows_note(evaluation, description, "that both models" if compared else "that it"))


def _parts(evaluation: Evaluation) -> Table | None:
    rows = [(item["name"], item["rows"], item["score"]) for item in evaluation.slices if item["score"] is not None]
    return Table(["Slice", "Rows", evaluation.metric], rows) if rows else None


def _rows_note(evaluation: Evaluation, description: ModelDescription, unseen_by: str) -> str:
    window = evaluation.holdout_window
    note = f"On {evaluation.rows} rows from {window['start']} to {window['end']} {unseen_by} had not seen before. Higher is better."
    if pooled := pooled_sentence(evaluation):
        note = f"On {evaluation.rows} rows from {window['start']} to {window['end']}. Higher is better. {pooled}"
    if description.challenger_id == evaluation.challenger_id or description.former_version:
        # A former champion is registered again as it was.
        return note
    return f"{note} Measured on challenger {evaluation.challenger_id}, before its recipe was refitted on all rows, including these."


def _limits(evaluation: Evaluation, description: ModelDescription) -> list[str]:
    texts = [f"It has seen no data from {description.fit_end} onwards and does not know about anything new since then."]
    thin = [item["name"] for item in evaluation.slices if item["verdict"] == "too few rows"]
    if thin:
        texts.append(f"Too few rows to judge it on: {', '.join(thin[:20])}.")
    texts.extend(check["sentence"] for check in evaluation.checks if check["verdict"] in ("failed", "cannot tell"))
    if not evaluation.slices:
        texts.append("It was judged on all rows together; no slices were configured.")
    return texts


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a model's predictions depend on."""
    return {name: installed_version(name) for name in ("kfp-evergreen", "numpy", "pandas", "scikit-learn", "skops")}


def _markdown(title: str, verdict: str, sections: list[Section]) -> str:
    lines = [f"# {title}", "", _escaped(verdict), ""]
    for section in sections:
        if not section.paragraphs and section.table is None:
            continue
        lines += [f"## {section.heading}", ""]
        for paragraph in section.paragraphs:
            lines += [_escaped(paragraph), ""]
        if section.table is not None:
            lines += [_row(section.table.columns), _row(["---"] * len(section.table.columns))]
            lines += [_row([_escaped(format_cell(cell)) for cell in row]) for row in section.table.rows]
            lines += ["", *([_escaped(section.table.note), ""] if section.table.note else [])]
    return "\n".join(lines)


def _row(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    # A column name must not break the table or the page that shows it.
    flat = " ".join(text.split())
    for sign, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("*", "\\*"), ("`", "\\`"), ("[", "\\[")):
        flat = flat.replace(sign, instead)
    return flat
