"""The ledger's newest record as the registry notes it: what shows that the ledger's end was cut off or rewritten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evergreen.registry.errors import LedgerError

if TYPE_CHECKING:
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.versions import ModelRegistry

NOTED_HEAD = re.compile(r"([0-9]{1,8}):([0-9a-f]{64})")


def noted_head(registry: ModelRegistry) -> tuple[int, str]:
    """Return number and hash of the record that the registry notes as the head; 0 and nothing when it notes none.

    Raises:
        LedgerError: The note is no such pair.
        StateError: The server cannot be used.
    """
    note = registry.noted_ledger_head()
    if not note:
        return 0, ""
    match = NOTED_HEAD.fullmatch(note)
    if match is None:
        raise LedgerError(
            f"model {registry.model_name!r}: its tag evergreen.ledger_head is {note!r}; expected number:hash, as Evergreen writes it. Somebody changed it: "
            "look at the registry's audit log, then set it to the number and hash of the ledger's newest record."
        )
    return int(match[1]), match[2]


def keep_head_noted(registry: ModelRegistry, ledger: Ledger) -> None:
    """Note the ledger's newest record in the registry, and never an older one than is noted.

    Raises:
        LedgerError: The registry notes a record that the ledger no longer holds, or holds otherwise.
        StateError: The server or the ledger cannot be used.
    """
    # The note is read first: the record was written before the note, so that an intact ledger holds it by then.
    number, noted_hash = noted_head(registry)
    head = ledger.head()
    newest = head.number if head else 0
    if newest < number or (head is not None and newest == number and head.hash != noted_hash):
        raise LedgerError(
            f"ledger of model {registry.model_name!r}: the registry notes record {number} as written, but the ledger's newest is "
            f"{'another record of that number' if newest == number else f'record {newest}' if newest else 'none'}: its end was cut off or rewritten, "
            "or this is another ledger. Restore it from a backup or correct state_ledger_uri; `evergreen audit verify` names what is wrong."
        )
    if head is not None and newest > number and (number or registry.exists()):
        registry.note_ledger_head(newest, head.hash)
