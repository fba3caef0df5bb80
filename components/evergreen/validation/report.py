"""The HTML report of a validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.page import Section, Table, render_page
from evergreen.validation.findings import broken, put_aside
from evergreen.validation.histograms import histogram_of, histogram_svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from evergreen.reporting.page import Tone
    from evergreen.validation.contract import Contract
    from evergreen.validation.findings import Finding

COLUMNS = ("column", "rule", "severity", "rows", "share", "examples")
COLUMNS_DRAWN = 20
_ORDER = ("fail", "quarantine", "warn")


def validation_page(findings: Sequence[Finding], contract: Contract, contract_text: str, *, origin: str, frame: pd.DataFrame) -> str:
    """Return the HTML page of a validation.

    Args:
        findings: Findings of the checks.
        contract: The contract.
        contract_text: The contract as YAML.
        origin: ``given``, ``champion`` or ``inferred``.
        frame: The checked rows, with positions as the index.
    """
    sources = {"given": "the given contract", "champion": "the champion's contract", "inferred": "a contract inferred from these rows"}
    aside = len({position for finding in put_aside(findings) for position in finding.positions})
    paragraphs = [f"{len(frame):,} rows and {len(contract.columns)} columns were checked against {sources[origin]}.", f"Contract status: {contract.status}."]
    if aside:
        broke = bool(broken(findings))
        told = "would have been quarantined if no other rule had been violated" if broke else "were quarantined, with reasons, in the dataset quarantined_data"
        paragraphs.append(f"{aside:,} rows {told}.")
    ordered = sorted(findings, key=lambda finding: _ORDER.index(finding.severity))
    table = Table(
        COLUMNS,
        [[item.column, item.rule, item.severity, item.count, f"{item.share:.1%}", ", ".join(item.examples)] for item in ordered],
        note="fail stops the pipeline before a model sees the data; quarantine moves the rows to quarantined_data; warn is reported and passes.",
    )
    advice = [f"{item.column}: {item.advice}" for item in ordered if item.advice]
    found = Section("Findings", table=table, bullets=advice) if findings else Section("Findings", paragraphs=["The data meets all rules."])
    verdict, tone = _verdict(findings, aside)
    checked = Section("What was checked", paragraphs=paragraphs)
    return render_page(
        "Data validation", verdict, tone, [checked, found, *_columns(ordered, contract, frame), Section("The contract", preformatted=contract_text)]
    )


def _columns(findings: Sequence[Finding], contract: Contract, frame: pd.DataFrame) -> list[Section]:
    """Return a section with a histogram for each column in which individual rows violate a rule."""
    by_column: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.column in frame.columns and finding.positions:
            by_column.setdefault(finding.column, []).append(finding)
    sections = []
    for column, found in list(by_column.items())[:COLUMNS_DRAWN]:
        positions = sorted({position for finding in found for position in finding.positions})
        histogram = histogram_of(frame[column], positions, contract.columns.get(column))
        if histogram is not None:
            figure = histogram_svg(histogram, f"Histogram of {column}")
            sections.append(
                Section(f"Column {column}", bullets=[f"{finding.rule}; violated by {finding.count:,} rows" for finding in found], figure_svg=figure)
            )
    return sections


def _verdict(findings: Sequence[Finding], aside: int) -> tuple[str, Tone]:
    failed = len(broken(findings))
    if failed:
        return f"The data violates {failed} {'rule' if failed == 1 else 'rules'} of its contract.", "bad"
    if aside:
        return f"The data passed; {aside:,} {'row was' if aside == 1 else 'rows were'} quarantined.", "warning"
    if findings:
        return f"The data passed with {len(findings)} {'warning' if len(findings) == 1 else 'warnings'}.", "warning"
    return "The data passed.", "good"
