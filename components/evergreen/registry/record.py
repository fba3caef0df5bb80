"""A record of the ledger and its stored form."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from evergreen.data.json_values import plain, to_json

NO_CHAMPION = "none"
FIRST_PREVIOUS_HASH = "0" * 64
WAITING = "waiting for approval"
APPROVAL = "approval"
PROMOTION = "promotion"
REJECTION = "rejection"
KEPT = "kept"
ROLLBACK = "rollback"
RETIREMENT = "retirement"
RETRAINING = "retraining"
KINDS = (PROMOTION, REJECTION, KEPT, WAITING, APPROVAL, ROLLBACK, RETIREMENT, RETRAINING)


@dataclass(frozen=True)
class Entry:
    """An entry that a step wants to record.

    Attributes:
        kind: One of ``KINDS``.
        version_after: The champion's version after this entry; None leaves the champion unchanged.
        run_id: ID of the pipeline run.
        step_name: Step of that run; a second record of the same step and kind is not written.
        challenger_id: ID of the challenger concerned, or empty.
        evidence: The evidence, as plain JSON values.
        actor: Who or what acted.
    """

    kind: str
    version_after: str | None = None
    run_id: str = "none"
    step_name: str = ""
    challenger_id: str = ""
    evidence: dict[str, Any] | None = None
    actor: str = "pipeline"


@dataclass(frozen=True)
class LedgerRecord:
    """A record as stored in the ledger.

    Attributes:
        number: Its slot, starting at 1 without gaps.
        previous_hash: Hash of the previous record; zeros for the first.
        kind: One of ``KINDS``.
        time: Time at which it was written, ISO, UTC.
        model_name: Name of the registered model.
        run_id: ID of the pipeline run.
        step_name: Step of that run.
        actor: Who or what acted.
        version_before: The champion's version before this record, or ``none``.
        version_after: The champion's version after this record, or ``none``.
        challenger_id: ID of the challenger concerned, or empty.
        evidence: The evidence, as plain JSON values.
        evergreen_version: Version of the code that wrote it.
        image: Image of the step that wrote it, with its digest if the pipeline was compiled with digests; empty outside an image.
        hash: SHA-256 of all other fields as canonical JSON.
    """

    number: int
    previous_hash: str
    kind: str
    time: str
    model_name: str
    run_id: str
    step_name: str
    actor: str
    version_before: str
    version_after: str
    challenger_id: str
    evidence: dict[str, Any]
    evergreen_version: str
    image: str
    hash: str = ""

    @classmethod
    def from_bytes(cls, content: bytes) -> LedgerRecord:
        """Parse a record.

        Raises:
            ValueError: The content is not JSON, or not a record.
        """
        try:
            values = json.loads(content)
            record = cls(**{field.name: values.pop(field.name) for field in fields(cls)}, **values)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a ledger record: {error!r}") from error
        if type(record.number) is not int or not all(isinstance(text, str) for text in (record.version_before, record.version_after, record.hash)):
            raise ValueError("not a ledger record: the number is not an integer, or a version or hash is not text")
        return record

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return to_json(asdict(self))

    def computed_hash(self) -> str:
        """Return the hash computed from the record's content."""
        content = {name: value for name, value in asdict(self).items() if name != "hash"}
        canonical = json.dumps(plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def changed_champion(self) -> bool:
        """Return whether this record changed the champion."""
        return self.version_before != self.version_after
