"""One record of the ledger, and the bytes that it is stored as."""

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
    """What a step wants to have recorded.

    Attributes:
        kind: One of ``KINDS``.
        version_after: Version of the champion once this is recorded; None leaves the champion as it is.
        run_id: The pipeline run.
        step_name: The step of that run; a second record of the same step and kind is not written.
        challenger_id: The challenger it is about, or empty.
        evidence: Why, as plain JSON values.
        actor: Who or what did it.
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
    """One record as it lies in the ledger.

    Attributes:
        number: Its slot, from 1 on without holes.
        previous_hash: Hash of the record before it; zeros for the first.
        kind: One of ``KINDS``.
        time: ISO time at which it was written, UTC.
        model_name: The registered model.
        run_id: The pipeline run.
        step_name: The step of that run.
        actor: Who or what did it.
        version_before: Version of the champion before it, or ``none``.
        version_after: Version of the champion after it, or ``none``.
        challenger_id: The challenger it is about, or empty.
        evidence: Why, as plain JSON values.
        evergreen_version: Version of the code that wrote it.
        image: Image of the step that wrote it, with its digest where the pipeline was compiled with digests; empty outside an image.
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
        """Return the record that bytes hold.

        Raises:
            ValueError: They are no JSON, or no record.
        """
        try:
            values = json.loads(content)
            record = cls(**{field.name: values.pop(field.name) for field in fields(cls)}, **values)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a ledger record: {error!r}") from error
        if type(record.number) is not int or not all(isinstance(text, str) for text in (record.version_before, record.version_after, record.hash)):
            raise ValueError("not a ledger record: its number is no integer, or a version or hash no text")
        return record

    def to_bytes(self) -> bytes:
        """Return the record as it is stored."""
        return to_json(asdict(self))

    def computed_hash(self) -> str:
        """Return the hash that the record's content has."""
        content = {name: value for name, value in asdict(self).items() if name != "hash"}
        canonical = json.dumps(plain(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def changed_champion(self) -> bool:
        """Return whether another version was the champion before this record."""
        return self.version_before != self.version_after
