"""A full disk, a folder that is read-only, a clock that goes backwards, a bucket that answers 503: the ledger stays whole."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.errors import StateError
from evergreen.registry.ledger import Entry, Ledger
from evergreen.storage.google_cloud import GoogleCloudStore
from evergreen.storage.local import LocalStore
from support.folders import let_others_in

if TYPE_CHECKING:
    from pathlib import Path

    from support.unreliable_bucket import Unreliable

NOBODY = 65534


def told_by_a_fork(work: Callable[[], Any]) -> str:
    """Run work in a forked process, whose limits and rights may be changed; returns the StateError's text, or what it returned."""
    fork = get_context("fork")
    answers = fork.SimpleQueue()

    def run() -> None:
        try:
            answers.put(str(work()))
        except StateError as error:
            answers.put(f"StateError: {error}")

    process = fork.Process(target=run)
    process.start()
    process.join(60)
    assert process.exitcode == 0
    return str(answers.get())


def promotion(version: str) -> Entry:
    return Entry("promotion", version, f"run-{version}", "deploy_model", f"id-{version}", {"sentence": "It is better."})


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """One promotion in a folder that everybody may read."""
    ledger = Ledger(LocalStore(str(tmp_path / "state")), "rain")
    ledger.append(promotion("1"))
    return ledger


def test_a_disk_without_room_leaves_no_record_and_the_next_attempt_works(ledger: Ledger, tmp_path: Path) -> None:
    def append() -> None:
        # The limit for one file stands for the disk's: the same call fails in the same place.
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        ledger.append(promotion("2"), expected_champion="1")

    assert "cannot be used: [Errno 27]" in told_by_a_fork(append)
    assert [file.name for file in (tmp_path / "state" / "ledger" / "rain").iterdir()] == ["00000001.json"]
    assert ledger.append(promotion("2"), expected_champion="1").number == 2
    assert ledger.verify() == []


def test_a_folder_that_is_read_only_is_named_and_nothing_is_lost(ledger: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "ledger" / "rain"
    let_others_in(tmp_path)
    folder.chmod(0o555)
    for file in folder.iterdir():
        file.chmod(0o444)

    def append() -> None:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)
        ledger.append(promotion("2"), expected_champion="1")

    told = told_by_a_fork(append)
    folder.chmod(0o755)
    assert told.startswith("StateError: ledger folder")
    assert "Permission denied" in told
    assert ledger.champion() == "1"
    assert ledger.append(promotion("2"), expected_champion="1").number == 2


def test_a_clock_that_goes_backwards_does_not_matter(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(f"{year}-01-01T00:00:00.000Z" for year in range(2020, 1990, -1))
    monkeypatch.setattr("evergreen.registry.ledger.now", lambda: next(times))
    for version in range(2, 8):
        ledger.append(promotion(str(version)), expected_champion=str(version - 1))
    assert ledger.champion() == "7"
    assert ledger.verify() == []
    records = ledger.records()
    assert [record.version_after for record in records] == [str(version) for version in range(1, 8)]
    assert [record.time for record in records[1:]] == sorted((record.time for record in records[1:]), reverse=True)


@pytest.mark.gcs
@pytest.mark.parametrize(("fault", "times"), [("refuse", 4), ("lose_answers", 1)])
@pytest.mark.usefixtures("patient")
def test_a_bucket_that_answers_503_for_a_while_gets_one_record(unreliable: Unreliable, fault: str, times: int) -> None:
    ledger = Ledger(GoogleCloudStore("gs://state/evergreen"), "rain")
    ledger.append(promotion("1"))
    setattr(unreliable, fault, times)
    assert ledger.append(promotion("2"), expected_champion="1").number == 2
    assert getattr(unreliable, fault) == 0
    assert [record.version_after for record in ledger.records()] == ["1", "2"]
    assert ledger.verify() == []
