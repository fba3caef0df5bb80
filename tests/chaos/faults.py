"""Deployments onto a full disk, a file system that is read-only, with a clock that goes backwards, and a bucket that answers 503."""

from __future__ import annotations

import ctypes
import os
import random
import time
from typing import TYPE_CHECKING
from unittest import mock

from chaos.deployments import FORK, LONGEST_DEPLOYMENT_S, renamed
from chaos.figures import Figures
from evergreen.deployment.promotion import promote
from evergreen.deployment.request import PromotionRequest
from evergreen.errors import StateError
from evergreen.registry.ledger import NO_CHAMPION, Ledger
from evergreen.storage.opening import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from evergreen.deployment.challenger import PassedChallenger
    from support.registry_fixtures import World
    from support.unreliable_bucket import Unreliable

CLONE_NEWNS, MS_RDONLY, MS_REMOUNT, MS_PRIVATE_BELOW = 0x20000, 1, 32, (1 << 18) | (1 << 14)
DISK_BYTES = 256 * 1024


def mount(kind: bytes, place: Path | str, flags: int, options: bytes = b"") -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(kind, str(place).encode(), kind, flags, options) != 0:
        raise OSError(ctypes.get_errno(), f"mount of {place} (needs root): {os.strerror(ctypes.get_errno())}")


def on_a_disk_of_its_own(world: World, work: Callable[[], Figures]) -> Figures:
    """Do work in a process that alone sees a small file system where the ledger lies; it goes with the process."""
    answers = FORK.Queue()

    def run() -> None:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
            answers.put(Figures(wrong=[f"unshare (needs root): {os.strerror(ctypes.get_errno())}"]))
            return
        mount(b"none", "/", MS_PRIVATE_BELOW)
        mount(b"tmpfs", world.ledger_uri, 0, f"size={DISK_BYTES}".encode())
        answers.put(work())

    (world.folder / "state").mkdir()
    process = FORK.Process(target=run)
    process.start()
    figures: Figures = answers.get(timeout=4 * LONGEST_DEPLOYMENT_S)
    process.join()
    return figures


def challengers(world: World, count: int) -> list[PassedChallenger]:
    base = [world.passed(world.challenger(f"model-{number}", weights=number)) for number in (0, 1)]
    return [renamed(base[number % 2], f"id-{number}") for number in range(count)]


def deployments_that_meet(world: World, made: list[PassedChallenger], begin: Callable[[], None], end: Callable[[], None], told: str) -> Figures:
    """Deploy each challenger while a fault lasts, and again after it."""
    figures, started = Figures(), time.monotonic()
    for number, challenger in enumerate(made):
        champion = world.ledger.champion()
        begin()
        try:
            world.promote(challenger, champion, run=f"run-{number}")
            figures.reached["promoted all the same"] += 1
        except StateError as error:
            figures.reached["refused"] += 1
            if told not in str(error):
                figures.wrong.append(f"deployment {number}: {error}")
            if (world.ledger.champion(), world.alias() or NO_CHAMPION) != (champion, champion):
                figures.wrong.append(f"deployment {number}: was refused, but the champion is not what it was")
        finally:
            end()
        world.promote(challenger, champion, run=f"run-{number}")
        figures.done += 1
        records = world.ledger.records()
        if (len(records), world.alias(), world.ledger.verify()) != (number + 1, records[-1].version_after, []):
            figures.wrong.append(f"deployment {number}: {len(records)} records, alias {world.alias()}, {world.ledger.verify()}")
    figures.seconds = time.monotonic() - started
    return figures


def deployments_onto_a_full_disk(world: World, count: int, seed: int) -> Figures:
    """Leave the ledger's disk between nothing and three pages of room for each deployment, and then room again."""
    chance, ballast = random.Random(seed), world.folder / "state" / "ballast"
    made = challengers(world, count)

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"\0" * 4096) == 4096:
                    pass
            except OSError:
                pass
            file.truncate(max(file.tell() - 4096 * chance.randint(0, 3), 0))

    return on_a_disk_of_its_own(world, lambda: deployments_that_meet(world, made, fill, ballast.unlink, "No space left on device"))


def deployments_onto_a_read_only_disk(world: World, count: int) -> Figures:
    """Make the ledger's file system read-only for each deployment, and then writable again."""
    made = challengers(world, count)

    def remounted(flags: int) -> Callable[[], None]:
        return lambda: mount(b"tmpfs", world.ledger_uri, MS_REMOUNT | flags, f"size={DISK_BYTES}".encode())

    return on_a_disk_of_its_own(world, lambda: deployments_that_meet(world, made, remounted(MS_RDONLY), remounted(0), "Read-only file system"))


def deployments_with_a_clock_that_goes_backwards(world: World, count: int, seed: int) -> Figures:
    """Set the ledger's clock back, by a random time, before each deployment."""
    chance = random.Random(seed)
    years = sorted((chance.randint(1971, 2070) for _ in range(100 * count)), reverse=True)
    times = [f"{year}-01-01T00:00:00.000Z" for year in years]
    with mock.patch("evergreen.registry.ledger.now", side_effect=times):
        return deployments_that_meet(world, challengers(world, count), lambda: None, lambda: None, "")


def deployments_to_an_unreliable_bucket(world: World, bucket: Unreliable, ledger_uri: str, count: int, seed: int) -> Figures:
    """Let the bucket of the ledger refuse, or do and deny, the next requests at a random point of each deployment."""
    chance, figures, started = random.Random(seed), Figures(), time.monotonic()
    ledger = Ledger(open_store(ledger_uri), world.model_name)
    for number, challenger in enumerate(challengers(world, count)):
        champion = ledger.champion()
        fault = chance.choice(["refuse", "lose_answers"])
        # After a lost answer the next attempt finds what it wrote, so that a second answer is not lost in the same place.
        setattr(bucket, fault, chance.randint(1, 4) if fault == "refuse" else 1)
        request = PromotionRequest(world.model_name, champion, run_id=f"run-{number}")
        result = promote(challenger, request, tracking_uri=world.tracking_uri, ledger_uri=ledger_uri)
        met = "met 503" if getattr(bucket, fault) == 0 else "met less than was planned"
        bucket.refuse = bucket.lose_answers = 0
        figures.reached[f"{result.outcome}, {met}"] += 1
        figures.done += 1
        if (result.outcome, ledger.size(), world.alias(), ledger.verify()) != ("promoted", number + 1, ledger.champion(), []):
            figures.wrong.append(f"deployment {number}: {result.outcome}, {ledger.size()} records, alias {world.alias()}, {ledger.verify()}")
    figures.seconds = time.monotonic() - started
    return figures
