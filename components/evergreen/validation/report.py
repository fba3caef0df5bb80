"""The report of a validation, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.page import Section, Table, render_page
from evergreen.validation.findings import broken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.reporting.page import Tone
    from evergreen.validation.contract import Contract
    from evergreen.validation.findings import Finding

COLUMNS = ("column", "rule", "severity", "rows", "share", "examples")


def validation_page(findings: Sequence[Finding], contract: Contract, contract_text: str, *, origin: str, rows: int) -> str:
    """Return the HTML page of a validation.

    Args:
        findings: What the checks found.
        contract: What the data had to look like.
        contract_text: The same as YAML.
        origin: ``given``, ``champion`` or ``inferred``.
        rows: Number of rows that were checked.
    """
    failed = len(broken(findings))
    verdict, tone = _verdict(failed, len(findings) - failed)
    sources = {"given": "the contract that was given", "champion": "the champion's contract", "inferred": "a contract inferred from these very rows"}
    checked = Section(
        "What was checked",
        paragraphs=[f"{rows:,} rows and {len(contract.columns)} columns against {sources[origin]}.", f"Status of the contract: {contract.status}."],
    )
    ordered = sorted(findings, key=lambda finding: finding.severity != "fail")
    table = Table(
        COLUMNS,
        [[finding.column, finding.rule, finding.severity, finding.count, finding.share, ", ".join(finding.examples)] for finding in ordered],
        note="fail stops the pipeline before a model sees the data; warn is reported and passes.",
    )
    found = Section("Findings", table=table) if findings else Section("Findings", paragraphs=["Every rule holds."])
    return render_page("Data validation", verdict, tone, [checked, found, Section("The contract", preformatted=contract_text)])


def _verdict(failed: int, warned: int) -> tuple[str, Tone]:
    if failed:
        return f"The data breaks its contract: {failed} {'rule' if failed == 1 else 'rules'}.", "bad"
    if warned:
        return f"The data passed with {warned} {'warning' if warned == 1 else 'warnings'}.", "warning"
    return "The data passed.", "good"
