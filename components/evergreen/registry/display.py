"""Terminal display of a model's ledger and the lineage of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from evergreen.registry.run_outcomes import run_outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from evergreen.registry.ledger import LedgerRecord
    from evergreen.registry.lineage import VersionLineage


def print_history(console: Console, model_name: str, records: list[LedgerRecord]) -> None:
    """Print a model's ledger as a table, oldest record first; records of runs that left a degraded champion in service are marked red."""
    outcomes = run_outcomes(records)
    table = Table(title=f"Ledger of {escape(model_name)}", title_justify="left")
    for heading in ("#", "time", "kind", "champion", "reason"):
        table.add_column(heading, overflow="fold")
    for record in records:
        number = record.evidence.get("semantic_version") if record.changed_champion() else None
        champion = f"{record.version_before} → {record.version_after}{f' ({number})' if number else ''}"
        sentence = str(record.evidence.get("sentence", ""))
        outcome = outcomes.get(record.number)
        kind = f"{escape(record.kind)}: [bold red]{escape(outcome)}[/]" if outcome else escape(record.kind)
        table.add_row(str(record.number), record.time[:19].replace("T", " "), kind, champion, escape(sentence))
    console.print(table)


def print_lineage(console: Console, found: Sequence[VersionLineage]) -> None:
    """Print the origin of versions: one table each, from the data to the promotion."""
    for learned in found:
        table = Table(title=escape(f"{learned.model_name}, version {learned.version}: {learned.status}"), show_header=False, title_justify="left")
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        files = f"{len(learned.data_objects)} {'file' if len(learned.data_objects) == 1 else 'files'}" if learned.data_objects else ""
        rows = {
            "data": ", ".join(filter(None, (learned.data_source_uri, files))),
            "window": f"{learned.fit_start} to {learned.fit_end}" if learned.fit_end else "",
            "fingerprint": learned.data_fingerprint,
            "training run": learned.training_run,
            "pipeline run": learned.pipeline_run,
            "recipe": learned.estimator,
            "challenger": learned.challenger_id,
            "code": " in ".join(filter(None, (f"Evergreen {learned.evergreen_version}" if learned.evergreen_version else "", learned.image))),
            "promoted": f"{learned.promoted_at}, replacing {learned.promoted_instead_of}" if learned.promoted_at else "never",
            "semantic version": learned.semantic_version,
        }
        for name, text in rows.items():
            table.add_row(name, escape(text or "unknown"))
        console.print(table)
