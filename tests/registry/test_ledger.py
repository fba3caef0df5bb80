"""The ledger: who may append, and what an auditor sees when somebody touched it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.registry.errors import LedgerError, SupersededError
from evergreen.registry.ledger import Entry, Ledger, folder_name
from evergreen.storage.base import checked_name
from evergreen.storage.local import LocalStore


def promotion(version: str, run: str = "none", **more: object) -> Entry:
    return Entry("promotion", version_after=version, run_id=run, step_name="deploy_model", **more)


def file_of(folder: Path, number: int) -> Path:
    return folder / "ledger" / "rain" / f"{number:08d}.json"


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}, indent=2, sort_keys=True) + "\n")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(LocalStore(str(tmp_path)), "rain")


@pytest.fixture
def five(ledger: Ledger) -> Ledger:
    for number in range(1, 6):
        ledger.append(promotion(str(number), f"run-{number}", evidence={"score": number / 10}))
    assert ledger.verify() == []
    return ledger


def test_an_empty_ledger_names_no_champion_and_is_in_order(ledger: Ledger, tmp_path: Path) -> None:
    assert (ledger.records(), ledger.head(), ledger.champion(), ledger.promotion_of("1"), ledger.verify()) == ([], None, "none", None, [])
    assert list(tmp_path.iterdir()) == []


def test_records_are_numbered_chained_and_name_the_champion(ledger: Ledger) -> None:
    first = ledger.append(promotion("4", "a", challenger_id="c1", evidence={"score": float("nan")}))
    second = ledger.append(Entry("kept", run_id="b", step_name="keep_champion"))
    third = ledger.append(promotion("5", "c", challenger_id="c2"))
    assert [record.number for record in ledger.records()] == [1, 2, 3]
    assert [(record.version_before, record.version_after) for record in ledger.records()] == [("none", "4"), ("4", "4"), ("4", "5")]
    assert first.previous_hash == "0" * 64
    assert (second.previous_hash, third.previous_hash) == (first.hash, second.hash)
    assert first.evidence == {"score": None}
    assert ledger.records() == [first, second, third]
    assert list(ledger.newest_first(2)) == [third, second]
    assert (ledger.head(), ledger.champion()) == (third, "5")
    assert (ledger.promotion_of("4"), ledger.promotion_of("6"), ledger.promotion_of("none")) == (first, None, None)
    assert ledger.verify() == []


def test_ledgers_of_different_models_share_a_folder_and_nothing_else(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    Ledger(store, "a").append(promotion("1"))
    Ledger(store, "a/b").append(promotion("2"))
    assert (Ledger(store, "a").champion(), Ledger(store, "a/b").champion()) == ("1", "2")
    assert len(Ledger(store, "a").records()) == 1


def test_an_unknown_kind_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match=r"kind 'promoted' of ledger record. Valid kinds: promotion, rejection, kept, waiting for approval"):
        ledger.append(Entry("promoted"))
    assert ledger.records() == []


def test_another_champion_than_the_expected_one_supersedes_and_nothing_is_written(five: Ledger, tmp_path: Path) -> None:
    with pytest.raises(SupersededError, match=r"model 'rain': superseded.*version 4, but the champion is now version 5.*Nothing was promoted"):
        five.append(promotion("6", "run-6"), expected_champion="4")
    assert len(list((tmp_path / "ledger" / "rain").iterdir())) == 5
    assert five.append(promotion("6", "run-6"), expected_champion="5").number == 6


def test_a_step_that_runs_twice_is_recorded_once_for_each_kind(ledger: Ledger) -> None:
    first = ledger.append(promotion("1", "run"), expected_champion="none")
    again = ledger.append(promotion("1", "run"), expected_champion="none")
    ledger.append(Entry("waiting for approval", run_id="run", step_name="deploy_model"))
    ledger.append(promotion("2", "another"))
    assert again == first
    assert [record.kind for record in ledger.records()] == ["promotion", "waiting for approval", "promotion"]


def test_without_a_run_each_call_is_an_event_of_its_own(ledger: Ledger) -> None:
    ledger.append(Entry("kept"))
    ledger.append(Entry("kept"))
    assert len(ledger.records()) == 2


class RacedStore(LocalStore):
    """Another writer takes the slot just before each of the first calls."""

    def __init__(self, folder: str, *, races: int) -> None:
        super().__init__(folder)
        self.races = races

    def create(self, name: str, content: bytes) -> bool:
        if self.races:
            self.races -= 1
            Ledger(LocalStore(self.uri), "rain").append(Entry("kept"))
        return super().create(name, content)


def test_a_taken_slot_is_tried_again_behind_it(tmp_path: Path) -> None:
    ledger = Ledger(RacedStore(str(tmp_path), races=3), "rain")
    assert ledger.append(promotion("1")).number == 4
    assert [record.kind for record in ledger.records()] == ["kept", "kept", "kept", "promotion"]
    assert ledger.verify() == []


def test_whoever_keeps_losing_the_slot_gives_up_with_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.registry.ledger.MOST_ATTEMPTS", 4)
    ledger = Ledger(RacedStore(str(tmp_path), races=9), "rain")
    with pytest.raises(LedgerError, match=r"ledger of model 'rain': the next slot was taken 4 times in a row. Run the step again"):
        ledger.append(promotion("1"))
    assert ledger.champion() == "none"


def test_eight_writers_at_once_make_eight_records_in_one_chain(tmp_path: Path) -> None:
    def write(number: int) -> int:
        return Ledger(LocalStore(str(tmp_path)), "rain").append(Entry("kept", run_id=f"run-{number}", step_name="s")).number

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(write, range(8)))
    ledger = Ledger(LocalStore(str(tmp_path)), "rain")
    assert sorted(numbers) == list(range(1, 9))
    assert {record.run_id for record in ledger.records()} == {f"run-{number}" for number in range(8)}
    assert ledger.verify() == []


def test_of_eight_promotions_from_the_same_champion_one_wins(tmp_path: Path) -> None:
    def write(number: int) -> bool:
        try:
            Ledger(LocalStore(str(tmp_path)), "rain").append(promotion(str(number), f"run-{number}"), expected_champion="none")
        except SupersededError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(write, range(1, 9)))
    ledger = Ledger(LocalStore(str(tmp_path)), "rain")
    assert won.count(True) == 1
    assert [record.version_after for record in ledger.records()] == [str(won.index(True) + 1)]


def test_an_edited_field_is_named(five: Ledger, tmp_path: Path) -> None:
    edit(file_of(tmp_path, 3), run_id="forged")
    assert five.verify() == ["Record 3 was edited: its content does not match its hash."]


def test_an_edit_with_a_new_hash_breaks_the_chain_behind_it(five: Ledger, tmp_path: Path) -> None:
    edit(file_of(tmp_path, 3), actor="a colleague")
    edit(file_of(tmp_path, 3), hash=five.records()[2].computed_hash())
    assert five.verify() == ["Record 4 does not follow the record before it: the chain is broken or forked there."]


def test_a_removed_record_is_named(five: Ledger, tmp_path: Path) -> None:
    file_of(tmp_path, 3).unlink()
    problems = five.verify()
    assert "Record 3 is missing: record 4 follows record 2." in problems
    assert all("Record 3" in problem or "Record 4" in problem for problem in problems)


def test_swapped_records_are_both_named(five: Ledger, tmp_path: Path) -> None:
    second, third = file_of(tmp_path, 2), file_of(tmp_path, 3)
    shutil.move(second, tmp_path / "aside")
    shutil.move(third, second)
    shutil.move(tmp_path / "aside", third)
    problems = five.verify()
    assert "Record 2 is out of place: it claims to be record 3 of model 'rain'." in problems
    assert "Record 3 is out of place: it claims to be record 2 of model 'rain'." in problems


def test_a_forked_record_is_named(five: Ledger, tmp_path: Path) -> None:
    other = Ledger(LocalStore(str(tmp_path / "other")), "rain")
    for number in range(1, 4):
        other.append(promotion(str(number), f"run-{number}", evidence={"score": 0.99}))
    shutil.copy(file_of(tmp_path / "other", 3), file_of(tmp_path, 3))
    assert five.verify() == [
        "Record 3 does not follow the record before it: the chain is broken or forked there.",
        "Record 4 does not follow the record before it: the chain is broken or forked there.",
    ]


def test_a_record_put_behind_the_last_one_is_named(five: Ledger, tmp_path: Path) -> None:
    shutil.copy(file_of(tmp_path, 5), file_of(tmp_path, 6))
    assert any(problem.startswith("Record 6 is out of place") for problem in five.verify())


def test_a_record_of_another_model_is_named(five: Ledger, tmp_path: Path) -> None:
    other = Ledger(LocalStore(str(tmp_path)), "snow")
    other.append(promotion("1"))
    shutil.copy(tmp_path / "ledger" / "snow" / "00000001.json", file_of(tmp_path, 1))
    assert any("Record 1 is out of place: it claims to be record 1 of model 'snow'." in problem for problem in five.verify())


def test_a_foreign_object_in_the_ledger_is_named_and_not_read(five: Ledger, tmp_path: Path) -> None:
    folder = tmp_path / "ledger" / "rain"
    for name in ("5.json", "notes.txt", "²0000009.json", "deeper/00000009.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("{}")
    assert [record.number for record in five.records()] == [1, 2, 3, 4, 5]
    assert sorted(five.verify()) == [
        f"{name} is in the ledger's folder but is not one of its records." for name in ("5.json", "deeper/00000009.json", "notes.txt", "²0000009.json")
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"number": 3}', b"\xff\xfe"])
def test_a_truncated_or_foreign_record_is_named_and_stops_whoever_needs_it(five: Ledger, tmp_path: Path, content: bytes) -> None:
    file_of(tmp_path, 3).write_bytes(content)
    problems = five.verify()
    assert len(problems) == 1
    assert problems[0].startswith("Record 3 is damaged: ")
    with pytest.raises(LedgerError, match=rf"Record 3 of the ledger of model 'rain' at {file_of(tmp_path, 3)} is damaged.*Restore it from a backup"):
        five.records()


def test_half_a_record_at_the_end_stops_an_append(five: Ledger, tmp_path: Path) -> None:
    whole = file_of(tmp_path, 5).read_bytes()
    file_of(tmp_path, 5).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LedgerError, match=r"Record 5 .* is damaged"):
        five.append(promotion("6", "run-6"))
    assert not file_of(tmp_path, 6).exists()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_flipped_bit_is_named(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    ledger = Ledger(LocalStore(str(folder)), "rain")
    for number in (1, 2, 3):
        ledger.append(promotion(str(number), f"run-{number}", evidence={"naïve": None}))
    file = file_of(folder, 2)
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(bytes(content))
    problems = ledger.verify()
    assert problems
    assert problems[0].startswith("Record 2")


@pytest.mark.parametrize("edited", [lambda text: text.replace("null", "NaN"), lambda text: text.replace("  ", "\t"), lambda text: text + "\n"])
def test_an_edit_that_reads_the_same_is_named_too(ledger: Ledger, tmp_path: Path, edited: Callable[[str], str]) -> None:
    ledger.append(promotion("1", evidence={"lower": None}))
    file_of(tmp_path, 1).write_text(edited(file_of(tmp_path, 1).read_text()))
    assert ledger.verify() == ["Record 1 was edited: its content does not match its hash."]


def test_a_cut_tail_is_noticed_by_the_head_that_was_noted_elsewhere(five: Ledger, tmp_path: Path) -> None:
    head = five.head()
    assert head is not None
    noted = f"{head.number}:{head.hash}"
    five.append(Entry("kept"))
    assert five.verify(noted_head=noted) == []
    file_of(tmp_path, 6).unlink()
    file_of(tmp_path, 5).unlink()
    assert five.verify() == []
    assert five.verify(noted_head=noted) == ["Record 5 is missing, although the registry notes it as written."]
    five.append(promotion("9", "forger"))
    assert five.verify(noted_head=noted) == ["Record 5 differs from the one noted in the registry: the end of the ledger was rewritten."]


@given(name=st.text(min_size=1).filter(str.strip))
def test_any_model_name_becomes_one_safe_folder(name: str) -> None:
    folder = folder_name(name)
    assert PurePosixPath(folder).parts == (folder,)
    assert folder not in (".", "..")
    assert checked_name(f"ledger/{folder}/00000001.json") == f"ledger/{folder}/00000001.json"
    assert set(folder) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-%~")
    assert len(folder) <= 255


def test_different_model_names_have_different_folders() -> None:
    names = ["a", "A", "a/b", "a%2Fb", "a.b", "..", ".", "%2E%2E", "ä", "a b", "a+b", "~", "%7E", "x" * 300, "x" * 301, "ü" * 300]
    assert len({folder_name(name) for name in names}) == len(names)


def test_names_that_point_elsewhere_stay_inside(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    for name in ("../../outside", "/outside", "..", "a\\..\\b", "ü" * 300):
        Ledger(LocalStore(str(inside)), name).append(promotion("1"))
        assert Ledger(LocalStore(str(inside)), name).champion() == "1"
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert len(list((inside / "ledger").iterdir())) == 5


@pytest.mark.parametrize(
    ("name", "told"), [("", "expected the name of a registered model. Fill in model_name"), ("  ", "Fill in model_name"), ("\ud800", "not valid text")]
)
def test_a_name_that_names_nothing_is_refused(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(LedgerError, match=rf"model name {re.escape(repr(name))}: .*{told}"):
        Ledger(LocalStore(str(tmp_path)), name)


def test_a_retry_of_a_promotion_that_was_rolled_back_does_not_bring_it_back(ledger: Ledger) -> None:
    ledger.append(promotion("1", "a"), expected_champion="none")
    ledger.append(promotion("2", "b"), expected_champion="1")
    ledger.append(Entry("rollback", version_after="1", actor="ada"))
    with pytest.raises(SupersededError):
        ledger.append(promotion("2", "b"), expected_champion="1")
    assert ledger.champion() == "1"
    assert len(ledger.records()) == 3


def test_a_challenger_waits_once_until_somebody_is_promoted(ledger: Ledger) -> None:
    def wait(run: str) -> int:
        return ledger.append(Entry("waiting for approval", run_id=run, step_name="deploy_model", challenger_id="c")).number

    assert (wait("a"), wait("b")) == (1, 1)
    ledger.append(promotion("1"))
    assert wait("c") == 3


class ForgetfulStore(LocalStore):
    """The answer to the first attempt is lost, and the client's own retry finds the slot taken by itself."""

    def create(self, name: str, content: bytes) -> bool:
        super().create(name, content)
        return super().create(name, content)


def test_a_lost_answer_of_the_store_writes_no_second_record(tmp_path: Path) -> None:
    ledger = Ledger(ForgetfulStore(str(tmp_path)), "rain")
    assert ledger.append(promotion("1"), expected_champion="none").number == 1
    assert len(ledger.records()) == 1
