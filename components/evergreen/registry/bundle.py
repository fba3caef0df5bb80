"""Collects everything a regulator may ask about a version in one folder: ``evergreen audit bundle``."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.data.json_values import to_json
from evergreen.registry.audit import Audit, audit
from evergreen.registry.champion import BASELINE_FILE, CARD_FILE, CARD_PAGE_FILE
from evergreen.registry.errors import RegistryError
from evergreen.registry.versions import CHALLENGER_TAG, EVIDENCE_FOLDER, copy_model_directory
from evergreen.runs.records import now
from evergreen.version import __version__

if TYPE_CHECKING:
    from evergreen.registry.ledger import Ledger, LedgerRecord
    from evergreen.registry.versions import ModelRegistry
    from evergreen.storage.base import ObjectStore

CHECKSUMS = "SHA256SUMS"


@dataclass(frozen=True)
class Bundle:
    """A bundle written to disk.

    Attributes:
        folder: Path of the bundle.
        files: Number of files, not counting the checksums.
        records: Numbers of the ledger records about the version.
        runs: The pipeline runs whose records it contains.
        audit: The audit of the ledger at that time.
    """

    folder: str
    files: int
    records: list[int]
    runs: list[str]
    audit: Audit


def write_bundle(folder: Path, version: str, *, registry: ModelRegistry, ledger: Ledger, store: ObjectStore, approval_key: str = "") -> Bundle:
    """Write a version's model, evidence, ledger, run records and reports to a new folder.

    The folder is written completely or not at all.

    Args:
        folder: A folder that does not exist yet.
        version: The version.
        registry: The registry that contains it.
        ledger: The model's ledger.
        store: The store of the ledger, which also contains the run records.
        approval_key: The key for verifying approvals; empty if none is configured.

    Raises:
        RegistryError: The folder already exists, or the version does not.
        LedgerError: The ledger cannot be read.
        StateError: The server or the store cannot be used.
    """
    if folder.exists():
        raise RegistryError(f"Bundle folder {str(folder)!r} already exists and is not overwritten. Choose a new one with --output.")
    registered = registry.version(version)
    found = audit(ledger, registry, approval_key=approval_key)
    about = _records_about(ledger, version, str(registered.tags.get(CHALLENGER_TAG, "")))
    runs = sorted({record.run_id for record in about if record.run_id != "none"})
    unfinished = folder.with_name(f".unfinished-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with registry.fetched(version) as files:
            copy_model_directory(files, str(unfinished / "model"))
            if (files / EVIDENCE_FOLDER).is_dir():
                shutil.copytree(files / EVIDENCE_FOLDER, unfinished / "evidence")
        _write(unfinished, "version.json", to_json(registry.describe(version)))
        _write(unfinished, "audit.json", to_json(asdict(found)))
        _write(unfinished, "records.json", to_json([asdict(record) for record in about]))
        for name, content in ledger.stored().items():
            _write(unfinished, f"ledger/{name}", content)
        for run in runs:
            for name in store.names(f"runs/{run}/") + [name for name in store.names(f"runs/{run}.") if name.count("/") == 1]:
                _write(unfinished, name, store.read(name) or b"")
        _write(unfinished, "README.md", _index(registry.model_name, version, about, runs, found).encode())
        files_written = _write_checksums(unfinished)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return Bundle(str(folder), files_written, [record.number for record in about], runs, found)


def _records_about(ledger: Ledger, version: str, challenger_id: str) -> list[LedgerRecord]:
    def concerns(record: LedgerRecord) -> bool:
        named = version in (record.version_before, record.version_after) and record.changed_champion()
        return named or record.evidence.get("version") == version or bool(challenger_id and record.challenger_id == challenger_id)

    return [record for record in ledger.records() if concerns(record)]


def _index(model_name: str, version: str, about: list[LedgerRecord], runs: list[str], found: Audit) -> str:
    rows = "\n".join(f"| {record.number} | {record.time} | {record.kind} | {record.actor} | {record.evidence.get('sentence', '')} |" for record in about)
    wrong = "\n".join(f"- {problem}" for problem in found.problems)
    verdict = f"**The ledger was tampered with or damaged:**\n\n{wrong}" if wrong else "The ledger's hash chain is intact."
    return f"""# Version {version} of model {model_name}

Written on {now()} by Evergreen {__version__}. {CHECKSUMS} contains the checksum of every file; verify with `sha256sum --check {CHECKSUMS}`.

{verdict}

| content | location |
| --- | --- |
| the model as registered | `model/` |
| sample of its training data, data contract, gate scores (`{BASELINE_FILE}`) | `evidence/` |
| the model card | `evidence/{CARD_FILE}`, `evidence/{CARD_PAGE_FILE}` |
| registry entry, parameters and metrics of its training run | `version.json` |
| every record of the model's ledger, byte for byte | `ledger/` |
| the records about this version | `records.json` |
| step records and reports of its runs | `runs/` ({len(runs)} runs) |
| the audit of the ledger | `audit.json` |

| record | time | kind | actor | reason |
| --- | --- | --- | --- | --- |
{rows}
"""


def _write(folder: Path, name: str, content: bytes) -> None:
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _write_checksums(folder: Path) -> int:
    lines: list[str] = []
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        with file.open("rb") as content:
            digest = hashlib.sha256()
            while block := content.read(1 << 20):
                digest.update(block)
        lines.append(f"{digest.hexdigest()}  {file.relative_to(folder).as_posix()}\n")
    _write(folder, CHECKSUMS, "".join(lines).encode())
    return len(lines)
