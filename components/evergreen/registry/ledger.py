"""The ledger of a model: append-only, hash-chained, and the authority on which version is the champion.

MLflow aliases have neither compare-and-set nor history. Here, slot N+1 is created only if it is absent, as decided by the
store itself, so of two promotions over the same champion, one finds its slot taken. Each record names the resulting
champion, so the newest record alone identifies the current one.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from evergreen.data.json_values import plain
from evergreen.registry.errors import LedgerError, RolledBackError, SupersededError
from evergreen.registry.record import FIRST_PREVIOUS_HASH, KINDS, NO_CHAMPION, PROMOTION, ROLLBACK, WAITING, Entry, LedgerRecord
from evergreen.registry.verification import RECORD_NAME, chain_problems, tail_problems
from evergreen.runs.records import now
from evergreen.secrets.redaction import mask, mask_json
from evergreen.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evergreen.storage.base import ObjectStore

__all__ = ["KINDS", "NO_CHAMPION", "WAITING", "Entry", "Ledger", "LedgerRecord", "folder_name"]

MOST_ATTEMPTS = 100
LONGEST_FOLDER_NAME = 200
IMAGE_VARIABLE = "EVERGREEN_IMAGE"
RECORDS_OF_A_RETRY = 20
"""A step is retried soon or never, so it is enough to search this many of the newest records for its earlier record."""


class Ledger:
    """The ledger of one model in an object store."""

    def __init__(self, store: ObjectStore, model_name: str) -> None:
        """Open the ledger without writing anything.

        Args:
            store: The store that contains it.
            model_name: Name of the registered model; any text.
        """
        self.model_name = model_name
        self._store = store
        self._folder = f"ledger/{folder_name(model_name)}"

    def records(self) -> list[LedgerRecord]:
        """Return all records, oldest first.

        Raises:
            LedgerError: A record cannot be read.
        """
        return [self._read(number) for number in self._numbers()]

    def newest_first(self, limit: int | None = None) -> Iterator[LedgerRecord]:
        """Yield the records lazily, newest first, up to the given number."""
        return (self._read(number) for number in itertools.islice(reversed(self._numbers()), limit))

    def head(self) -> LedgerRecord | None:
        """Return the newest record, or None if there is none."""
        return next(self.newest_first(1), None)

    def champion(self) -> str:
        """Return the champion's version according to the ledger, or ``none``."""
        head = self.head()
        return head.version_after if head else NO_CHAMPION

    def promotion_of(self, version: str) -> LedgerRecord | None:
        """Return the newest record that made a version the champion, or None."""
        if version == NO_CHAMPION:
            return None
        return next((record for record in self.newest_first() if record.version_after == version and record.changed_champion()), None)

    def rollback_of(self, *, version: str = NO_CHAMPION, challenger_id: str = "") -> LedgerRecord | None:
        """Return the newest record that rolled back a version or the challenger it was made from, or None."""
        rollbacks = (record for record in self.newest_first() if record.kind == ROLLBACK)
        return next((record for record in rollbacks if record.version_before == version or (challenger_id and record.challenger_id == challenger_id)), None)

    def of_run(self, run_id: str, kind: str) -> list[LedgerRecord]:
        """Return the recent records of one kind by the steps of a run, newest first."""
        return [record for record in self.newest_first(RECORDS_OF_A_RETRY) if (record.run_id, record.kind) == (run_id, kind)]

    def append(self, entry: Entry, *, expected_champion: str | None = None) -> LedgerRecord:
        """Append a record, once per kind and step of a run.

        Args:
            entry: The entry to record.
            expected_champion: The champion that must still be in place; None if it does not matter.

        Returns:
            The record; the existing one if this step has already recorded the same kind, or if the same challenger
            is already waiting for approval.

        Raises:
            SupersededError: Another champion is in place.
            RolledBackError: The version or challenger to be promoted was rolled back.
            LedgerError: The ledger cannot be read, or other writers kept taking the next slot.
        """
        if entry.kind not in KINDS:
            raise LedgerError(f"Unknown kind {entry.kind!r} of ledger record. Valid kinds: {', '.join(KINDS)}.")
        for _ in range(MOST_ATTEMPTS):
            head = self.head()
            champion = head.version_after if head else NO_CHAMPION
            existing = self._same_step(entry) or self._same_wait(entry)
            # An earlier record of this step counts only while it is in effect: a retry must not redo a promotion that was rolled back.
            if existing is not None and entry.version_after in (None, champion):
                return existing
            if expected_champion is not None and (existing is not None or champion != expected_champion):
                raise SupersededError.by(self.model_name, expected=expected_champion, found=champion)
            self._check_not_rolled_back(entry)
            record = self._next(entry, head, champion)
            if self._create(record):
                return record
        raise LedgerError(f"ledger of model {self.model_name!r}: the next slot was taken {MOST_ATTEMPTS} times in a row. Run the step again.")

    def size(self) -> int:
        """Return the number of records, without reading them."""
        return len(self._numbers())

    def stored(self) -> dict[str, bytes]:
        """Return the raw content of all files in the ledger's folder, by file name."""
        names = self._store.names(f"{self._folder}/")
        return {name.removeprefix(f"{self._folder}/"): self._store.read(name) or b"" for name in names}

    def verify(self, noted_head: str = "") -> list[str]:
        """Return one sentence for each record that was edited, removed, reordered, inserted or forked; none if the chain is intact.

        Args:
            noted_head: The return value of `ModelRegistry.noted_ledger_head`, with which a truncated ledger is detected, too.
        """
        objects = self.stored()
        return chain_problems(objects, self.model_name) + (tail_problems(objects, noted_head) if noted_head else [])

    def _numbers(self) -> list[int]:
        names = (name.removeprefix(f"{self._folder}/") for name in self._store.names(f"{self._folder}/"))
        return sorted(int(match[1]) for name in names if (match := RECORD_NAME.fullmatch(name)))

    def _name(self, number: int) -> str:
        return f"{self._folder}/{number:08d}.json"

    def _read(self, number: int) -> LedgerRecord:
        try:
            return LedgerRecord.from_bytes(self._store.read(self._name(number)) or b"")
        except ValueError as error:
            raise LedgerError(
                f"Record {number} of the ledger of model {self.model_name!r} at {self._store.uri}/{self._name(number)} is damaged: {error}. "
                "Restore it from a backup."
            ) from error

    def _create(self, record: LedgerRecord) -> bool:
        if self._store.create(self._name(record.number), record.to_bytes()):
            return True
        # A client that lost the response to its first attempt retries and finds the slot taken by itself.
        return self._read(record.number) == record

    def _check_not_rolled_back(self, entry: Entry) -> None:
        # Check right before taking the slot: a challenger may be promoted and rolled back while a slow step is busy elsewhere.
        if entry.kind == PROMOTION and entry.version_after is not None:
            rollback = self.rollback_of(version=entry.version_after, challenger_id=entry.challenger_id)
            if rollback is not None:
                raise RolledBackError.by(self.model_name, rollback)

    def _same_step(self, entry: Entry) -> LedgerRecord | None:
        if entry.run_id == "none":
            return None
        identity = (entry.run_id, entry.step_name, entry.kind)
        return next((record for record in self.newest_first(RECORDS_OF_A_RETRY) if (record.run_id, record.step_name, record.kind) == identity), None)

    def _same_wait(self, entry: Entry) -> LedgerRecord | None:
        if entry.kind != WAITING:
            return None
        since_promotion = itertools.takewhile(lambda record: not record.changed_champion(), self.newest_first())
        return next((record for record in since_promotion if (record.kind, record.challenger_id) == (WAITING, entry.challenger_id)), None)

    def _next(self, entry: Entry, head: LedgerRecord | None, champion: str) -> LedgerRecord:
        record = LedgerRecord(
            number=head.number + 1 if head else 1,
            previous_hash=head.hash if head else FIRST_PREVIOUS_HASH,
            kind=entry.kind,
            time=now(),
            model_name=self.model_name,
            run_id=entry.run_id,
            step_name=entry.step_name,
            # Mask here, because the hash covers what is written.
            actor=mask(entry.actor),
            version_before=champion,
            version_after=champion if entry.version_after is None else entry.version_after,
            challenger_id=entry.challenger_id,
            evidence=mask_json(plain(entry.evidence or {})),
            evergreen_version=__version__,
            image=os.environ.get(IMAGE_VARIABLE, ""),
        )
        return replace(record, hash=record.computed_hash())


def folder_name(model_name: str) -> str:
    """Return a model's name as a single folder name: everything except letters, digits, ``_`` and ``-`` is percent-encoded.

    A name too long for a file system ends with its hash instead; the ``~`` before it occurs in no other name.

    Raises:
        LedgerError: The name is empty or not valid text.
    """
    try:
        encoded = quote(model_name, safe="").replace(".", "%2E").replace("~", "%7E")
    except UnicodeEncodeError as error:
        raise LedgerError(f"Invalid model name {model_name!r}: not valid text: {error}. Choose another name.") from error
    if not model_name.strip():
        raise LedgerError(f"Invalid model name {model_name!r}: expected the name of a registered model. Fill in model_name.")
    if len(encoded) > LONGEST_FOLDER_NAME:
        return f"{encoded[: LONGEST_FOLDER_NAME - 65]}~{hashlib.sha256(encoded.encode()).hexdigest()}"
    return encoded
