"""Random changes of a ledger's files, each of which the audit has to find."""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from typing import TYPE_CHECKING

from evergreen.registry.ledger import Entry, Ledger
from evergreen.registry.verification import chain_problems, tail_problems
from evergreen.storage.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

MODEL = "rain"
RECORDS = 40

Files = dict[str, bytes]


def written_ledger() -> tuple[Files, str]:
    """Return the files of a ledger of 40 records as the code writes them, and its noted head."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(LocalStore(folder), MODEL)
        for number in range(RECORDS):
            promoted = number % 5 == 0
            entry = Entry("promotion", f"{number + 1}", f"run-{number}", "deploy_model", f"id-{number}", {"score": number / 7, "sentence": "It is better."})
            ledger.append(entry if promoted else Entry("kept", run_id=f"run-{number}", step_name="keep", evidence={"sentence": "Nothing to do."}))
        head = ledger.head()
        assert head is not None
        return ledger.stored(), f"{head.number}:{head.hash}"


def flip_bit(files: Files, chance: random.Random) -> None:
    name = chance.choice(sorted(files))
    content = bytearray(files[name])
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    files[name] = bytes(content)


def delete(files: Files, chance: random.Random) -> None:
    del files[chance.choice(sorted(files))]


def cut_tail(files: Files, chance: random.Random) -> None:
    for name in sorted(files)[-chance.randint(1, RECORDS) :]:
        del files[name]


def swap(files: Files, chance: random.Random) -> None:
    one, other = chance.sample(sorted(files), 2)
    files[one], files[other] = files[other], files[one]


def insert(files: Files, chance: random.Random) -> None:
    """Put a copy of a record at a place and move what was there, and after it, one place on."""
    names = sorted(files)
    place, copied = chance.randrange(len(names)), files[chance.choice(names)]
    contents = [files[name] for name in names]
    contents.insert(place, copied)
    files.update({f"{number:08d}.json": content for number, content in enumerate(contents, 1)})


def truncate(files: Files, chance: random.Random) -> None:
    name = chance.choice(sorted(files))
    files[name] = files[name][: chance.randrange(len(files[name]))]


def rewrite_tail(files: Files, chance: random.Random) -> None:
    """Replace the newest records by others that form a chain with correct hashes: what a forger who knows the code would do."""
    kept = RECORDS - chance.randint(1, RECORDS)
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder)
        for name in sorted(files)[:kept]:
            store.create(f"ledger/{MODEL}/{name}", files[name])
        ledger = Ledger(store, MODEL)
        for number in range(kept, RECORDS):
            ledger.append(Entry("promotion", "99", f"forged-{number}", "deploy_model", "forged", {"sentence": "Trust me."}))
        files.update(ledger.stored())


def strange_file(files: Files, chance: random.Random) -> None:
    files[f"{chance.randrange(10**6)}.txt"] = b"?"


MUTATIONS: tuple[Callable[[Files, random.Random], None], ...] = (flip_bit, flip_bit, delete, cut_tail, swap, insert, truncate, rewrite_tail, strange_file)


def mutate(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Mutate a ledger so many times.

    Returns:
        How many mutations of each kind changed a byte, and those that were not found.
    """
    original, head = written_ledger()
    assert chain_problems(original, MODEL) + tail_problems(original, head) == []
    chance = random.Random(seed)
    tried: Counter[str] = Counter()
    missed = []
    while tried.total() < count:
        files = dict(original)
        mutation = chance.choice(MUTATIONS)
        mutation(files, chance)
        if files == original:
            continue
        tried[mutation.__name__] += 1
        if not chain_problems(files, MODEL) + tail_problems(files, head):
            missed.append(f"{mutation.__name__} (mutation {tried.total()} of seed {seed})")
    return tried, missed
