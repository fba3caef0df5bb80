"""Verifies that a model's ledger is intact and agrees with the registry: ``evergreen audit verify``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from evergreen.registry.approval import signature_problems
from evergreen.registry.errors import LedgerError
from evergreen.registry.head import noted_head

if TYPE_CHECKING:
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.versions import ModelRegistry


@dataclass(frozen=True)
class Audit:
    """The result of an audit.

    Attributes:
        model_name: Name of the registered model.
        records: Number of objects in the ledger's folder.
        champion: The champion's version according to the ledger, ``none``, or empty if the ledger cannot be read.
        noted_head: Number and hash noted in the registry, ``number:hash``; empty if it notes none or was not queried.
        problems: One sentence per problem.
        approvals_checked: Whether approval signatures were verified, which requires a configured key.
    """

    model_name: str
    records: int
    champion: str
    noted_head: str
    problems: list[str] = field(default_factory=list)
    approvals_checked: bool = False


def audit(ledger: Ledger, registry: ModelRegistry | None, *, approval_key: str = "") -> Audit:
    """Check a ledger against itself, against the registry's note of its head, and its approvals against the key.

    Args:
        ledger: The ledger.
        registry: The registry that notes its head; without it, a truncated ledger goes unnoticed.
        approval_key: The key for verifying approvals; empty if none is configured.

    Raises:
        StateError: The server or the ledger cannot be used.
    """
    problems: list[str] = []
    note = ""
    if registry is not None:
        # Read the note before the records, so that the noted record has certainly been written by then.
        try:
            number, noted_hash = noted_head(registry)
            note = f"{number}:{noted_hash}" if number else ""
        except LedgerError as error:
            problems.append(str(error))
    problems += ledger.verify(note)
    champion = ""
    if not problems:
        champion = ledger.champion()
        problems += signature_problems(ledger.records(), approval_key) if approval_key else []
    return Audit(ledger.model_name, ledger.size(), champion, note, problems, bool(approval_key))
