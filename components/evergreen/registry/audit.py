"""Is a model's ledger what was written, and does the registry agree: ``evergreen audit verify``."""

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
    """What an audit found.

    Attributes:
        model_name: Name of the registered model.
        records: How many objects lie in the ledger's folder.
        champion: The version that the ledger names, ``none``, or empty when the ledger cannot be read.
        noted_head: Number and hash that the registry notes, ``number:hash``; empty when it notes none or was not asked.
        problems: One sentence for each thing that is wrong.
        approvals_checked: Whether signatures of approvals were checked: a key is configured.
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
        registry: The registry that notes its head; None leaves a tail that was cut off unseen.
        approval_key: The key that approvals are signed with, or nothing.

    Raises:
        StateError: The server or the ledger cannot be used.
    """
    problems: list[str] = []
    note = ""
    if registry is not None:
        # Before the records: what is noted was written by then.
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
