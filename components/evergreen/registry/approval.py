"""Approvals: how they are signed, and how their signatures are verified."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import TYPE_CHECKING

from evergreen.registry.record import APPROVAL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evergreen.registry.record import LedgerRecord

KEY_VARIABLE = "EVERGREEN_APPROVAL_KEY"


def approval_key() -> str:
    """Return the key for signing approvals; empty if none is configured."""
    return os.environ.get(KEY_VARIABLE, "")


def signature(key: str, *, model_name: str, version: str, challenger_id: str, waiting_hash: str, by: str, reason: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of an approval.

    The hash of the waiting record binds the approval to the evidence that the approver saw.
    """
    approved = {"model": model_name, "version": version, "challenger_id": challenger_id, "waiting_hash": waiting_hash, "by": by, "reason": reason}
    return hmac.new(key.encode(), json.dumps(approved, sort_keys=True).encode(), hashlib.sha256).hexdigest()


def is_signed(record: LedgerRecord, key: str) -> bool:
    """Return whether an approval record is signed with the key for exactly its content."""
    evidence = record.evidence
    expected = signature(
        key,
        model_name=record.model_name,
        version=str(evidence.get("version")),
        challenger_id=record.challenger_id,
        waiting_hash=str(evidence.get("waiting_hash")),
        by=record.actor,
        reason=str(evidence.get("reason")),
    )
    return hmac.compare_digest(expected.encode(), str(evidence.get("signature") or "").encode())


def signature_problems(records: Iterable[LedgerRecord], key: str) -> list[str]:
    """Return a sentence for each approval that is not signed with the key."""
    return [
        f"Record {record.number}, the approval of version {record.evidence.get('version')} by {record.actor}, is not signed with the configured key."
        for record in records
        if record.kind == APPROVAL and not is_signed(record, key)
    ]
