"""Verifies that a ledger is intact: nothing edited, removed, reordered, inserted or forked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from evergreen.registry.record import FIRST_PREVIOUS_HASH, NO_CHAMPION, LedgerRecord

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORD_NAME = re.compile(r"([0-9]{8})\.json")


def chain_problems(objects: Mapping[str, bytes], model_name: str) -> list[str]:
    """Return one sentence per problem; none if the chain is intact.

    The chain of a truncated ledger is still intact: see `tail_problems`.

    Args:
        objects: Content of all files in the ledger's folder, by file name.
        model_name: The model that the ledger belongs to.
    """
    names = {int(match[1]): name for name in objects if (match := RECORD_NAME.fullmatch(name))}
    problems = [f"{name} is in the ledger's folder but is not one of its records." for name in sorted(set(objects) - set(names.values()))]
    before: LedgerRecord | None = None
    expected = 1
    for number in sorted(names):
        if number != expected:
            problems.append(f"Record {expected} is missing: record {number} follows record {expected - 1}.")
        try:
            record = LedgerRecord.from_bytes(objects[names[number]])
        except ValueError as error:
            problems.append(f"Record {number} is damaged: {error}.")
            before = None
        else:
            problems.extend(_record_problems(record, objects[names[number]], number, model_name))
            problems.extend(_link_problems(record, before, first=number == 1))
            before = record
        expected = number + 1
    return problems


def tail_problems(objects: Mapping[str, bytes], noted_head: str) -> list[str]:
    """Return a sentence if the record noted in the registry as the head is missing or changed.

    Args:
        objects: Content of all files in the ledger's folder, by file name.
        noted_head: Number and hash of a record that was once the head, ``number:hash``.
    """
    number, _, noted_hash = noted_head.partition(":")
    content = objects.get(f"{int(number):08d}.json")
    if content is None:
        return [f"Record {number} is missing, although the registry notes it as written."]
    try:
        found = LedgerRecord.from_bytes(content).hash
    except ValueError:
        return []
    return [] if found == noted_hash else [f"Record {number} differs from the one noted in the registry: the end of the ledger was rewritten."]


def _record_problems(record: LedgerRecord, content: bytes, number: int, model_name: str) -> list[str]:
    problems = []
    if _edited(record, content):
        problems.append(f"Record {number} was edited: its content does not match its hash.")
    if (record.number, record.model_name) != (number, model_name):
        problems.append(f"Record {number} is out of place: it claims to be record {record.number} of model {record.model_name!r}.")
    return problems


def _edited(record: LedgerRecord, content: bytes) -> bool:
    try:
        return record.computed_hash() != record.hash or record.to_bytes() != content
    except (ValueError, RecursionError):
        # Half a surrogate pair, for instance, is valid JSON but not valid text.
        return True


def _link_problems(record: LedgerRecord, before: LedgerRecord | None, *, first: bool) -> list[str]:
    if before is None and not first:
        # The previous record is damaged, which has already been reported.
        return []
    previous_hash, champion = (before.hash, before.version_after) if before else (FIRST_PREVIOUS_HASH, NO_CHAMPION)
    if record.previous_hash != previous_hash:
        return [f"Record {record.number} does not follow the record before it: the chain is broken or forked there."]
    if record.version_before != champion:
        return [f"Record {record.number} names version {record.version_before} as the champion, but the record before it names version {champion}."]
    return []
