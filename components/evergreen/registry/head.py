"""The ledger's newest record as noted in the registry, which reveals that the end of the ledger was cut off or rewritten."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evergreen.registry.errors import LedgerError

if TYPE_CHECKING:
    from evergreen.registry.ledger import Ledger
    from evergreen.registry.versions import ModelRegistry

NOTED_HEAD = re.compile(r"([0-9]{1,8}):([0-9a-f]{64})")


def noted_head(registry: ModelRegistry) -> tuple[int, str]:
    """Return number and hash of the record noted in the registry as the head; 0 and an empty text if there is none.

    Raises:
        LedgerError: The note is not such a pair.
        StateError: The server cannot be used.
    """
    note = registry.noted_ledger_head()
    if not note:
        return 0, ""
    match = NOTED_HEAD.fullmatch(note)
    if match is None:
        raise LedgerError(
            f"model {registry.model_name!r}: its tag evergreen.ledger_head is {note!r}; expected number:hash, as written by Evergreen. It was changed: "
            "check the registry's audit log, then set the tag to the number and hash of the ledger's newest record."
        )
    return int(match[1]), match[2]


def keep_head_noted(registry: ModelRegistry, ledger: Ledger) -> None:
    """Note the ledger's newest record in the registry, but never an older one than already noted.

    Raises:
        LedgerError: The record noted in the registry is missing from the ledger, or differs.
        StateError: The server or the ledger cannot be used.
    """
    # Read the note first: the record was written before the note, so an intact ledger contains it by then.
    number, noted_hash = noted_head(registry)
    head = ledger.head()
    newest = head.number if head else 0
    if newest < number or (head is not None and newest == number and head.hash != noted_hash):
        raise LedgerError(
            f"ledger of model {registry.model_name!r}: the registry notes record {number} as written, but the ledger's newest is "
            f"{'a different record with that number' if newest == number else f'record {newest}' if newest else 'none'}: its end was cut off or rewritten, "
            "or this is the wrong ledger. Restore it from a backup or correct state_ledger_uri; `evergreen audit verify` lists the problems."
        )
    if head is not None and newest > number and (number or registry.exists()):
        registry.note_ledger_head(newest, head.hash)
