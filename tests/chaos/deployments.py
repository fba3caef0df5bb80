"""Deployments that are killed, that race, or whose server goes away; each is a forked process of its own."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from chaos.figures import Figures
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.evidence import evidence_differs
from evergreen.errors import EvergreenError
from evergreen.models.fitted import FittedModel
from evergreen.registry.ledger import NO_CHAMPION
from evergreen.registry.versions import EVIDENCE_FOLDER, ModelRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.deployment.challenger import PassedChallenger
    from support.mlflow_server import RestartableServer
    from support.registry_fixtures import World

LONGEST_DEPLOYMENT_S = 120
FORK = get_context("fork")
"""Workers are forked after the imports: a deployment costs what it does, and not five seconds of imports."""


def renamed(challenger: PassedChallenger, challenger_id: str) -> PassedChallenger:
    """Return the same model as another challenger: what identifies one is its id."""
    description = replace(challenger.description, challenger_id=challenger_id)
    return replace(challenger, model=FittedModel(challenger.model.pipeline, description))


def in_a_fork(work: Callable[[], None]) -> Any:
    """Start work in a forked process; returns the process."""
    process = FORK.Process(target=work)
    process.start()
    return process


def ended(process: Any) -> bool:
    """Wait for a forked process; one that hangs is killed and reported."""
    process.join(LONGEST_DEPLOYMENT_S)
    if process.exitcode is None:
        process.kill()
        process.join()
        return False
    return True


def killed_deployments(world: World, count: int, seed: int) -> Figures:
    """Kill a deployment at a random moment and run it again, so many times; each of them has to end as if it had not been killed."""
    chance = random.Random(seed)
    figures, started = Figures(), time.monotonic()
    base = [world.passed(world.challenger(f"model-{number}", weights=number)) for number in (0, 1)]
    champion, longest = NO_CHAMPION, 0.0
    for number in range(count + 1):
        challenger, expected = renamed(base[number % 2], f"id-{number}"), champion

        def deploy(challenger: PassedChallenger = challenger, expected: str = expected, run: str = f"run-{number}") -> None:
            world.promote(challenger, expected, run=run)

        before = len(world.versions()), len(world.ledger.records())
        begun = time.monotonic()
        process = in_a_fork(deploy)
        if number == 0:
            # The first is left alone: it tells how long one takes.
            ended(process)
            longest = time.monotonic() - begun
        else:
            process.join(chance.uniform(0.0, longest))
            if process.exitcode is None:
                os.kill(process.pid, signal.SIGKILL)
            process.join()
            figures.done += 1
            figures.reached[_reached(world, before, champion, killed=process.exitcode == -signal.SIGKILL)] += 1
            if not ended(in_a_fork(deploy)):
                figures.wrong.append(f"deployment {number}: the rerun hangs.")
        champion = str(before[0] + 1)
        figures.wrong += [f"deployment {number}: {problem}" for problem in _problems(world, challenger, champion, before)]
    figures.seconds = time.monotonic() - started
    return figures


def _reached(world: World, before: tuple[int, int], champion: str, *, killed: bool) -> str:
    if not killed:
        return "ended before the kill"
    if len(world.versions()) == before[0]:
        return "killed before the version"
    if len(world.ledger.records()) == before[1]:
        return "killed before the record"
    return "killed before the alias" if (world.alias() or NO_CHAMPION) == champion else "killed after the alias"


def _problems(world: World, challenger: PassedChallenger, version: str, before: tuple[int, int]) -> list[str]:
    records = world.ledger.records()
    found = {
        "new versions": (len(world.versions()) - before[0], 1),
        "new records": (len(records) - before[1], 1),
        "champion of the ledger": (records[-1].version_after if records else NO_CHAMPION, version),
        "challenger of the ledger": (records[-1].challenger_id if records else "", challenger.description.challenger_id),
        "alias": (world.alias(), version),
        "what is staged": ("evergreen.stage" in world.tags(version), False),
        "chain": (world.ledger.verify(world.client.get_registered_model(world.model_name).tags.get("evergreen.ledger_head", "")), []),
    }
    problems = [f"{name}: {value!r} instead of {expected!r}" for name, (value, expected) in found.items() if value != expected]
    with ModelRegistry(world.tracking_uri, world.model_name).fetched(version) as files:
        if evidence_differs(challenger, files / EVIDENCE_FOLDER):
            problems.append("the version's evidence is not whole")
    return problems


def racing_deployments(world: World, rounds: int, processes: int = 8) -> Figures:
    """Let so many processes promote different challengers at once; each round exactly one has to win."""
    figures, started = Figures(), time.monotonic()
    base = [world.passed(world.challenger(f"racer-{number}", weights=number % 2)) for number in range(processes)]
    champion = NO_CHAMPION
    for number in range(rounds):
        barrier, answers = FORK.Barrier(processes), FORK.Queue()

        def race(racer: int, number: int = number, expected: str = champion, barrier: Any = barrier, answers: Any = answers) -> None:
            challenger = renamed(base[racer], f"id-{number}-{racer}")
            barrier.wait(60)
            try:
                answers.put(world.promote(challenger, expected, run=f"run-{number}-{racer}").version)
            except DeploymentError as error:
                answers.put("superseded" if ": superseded." in str(error) else f"{error}")
            except EvergreenError as error:
                answers.put(f"{type(error).__name__}: {error}")

        racers = [in_a_fork(lambda racer=racer, race=race: race(racer)) for racer in range(processes)]
        told = [answers.get(timeout=LONGEST_DEPLOYMENT_S) for _ in racers]
        hung = [racer for racer in racers if not ended(racer)]
        winners = [answer for answer in told if answer.isdigit()]
        figures.done += 1
        figures.reached.update("won" if answer.isdigit() else "told superseded" if answer == "superseded" else "other" for answer in told)
        figures.wrong += [f"round {number}: {answer}" for answer in told if not answer.isdigit() and answer != "superseded"]
        figures.wrong += [f"round {number}: {len(hung)} processes hang"] if hung else []
        champion = world.ledger.champion()
        if winners != [champion] or world.alias() != champion or len(world.ledger.records()) != number + 1:
            figures.wrong.append(f"round {number}: winners {winners}, ledger {champion}, alias {world.alias()}, {len(world.ledger.records())} records")
    noted = world.client.get_registered_model(world.model_name).tags["evergreen.ledger_head"]
    figures.wrong += world.ledger.verify(noted)
    figures.seconds = time.monotonic() - started
    return figures


def deployments_without_a_server(world: World, server: RestartableServer, count: int, seed: int, deadline_s: float = 60.0) -> Figures:
    """Kill the server during each deployment and start it again; each waits for it inside the step, and has to end promoted before its deadline."""
    chance = random.Random(seed)
    figures, started = Figures(), time.monotonic()
    base = [world.passed(world.challenger(f"model-{number}", weights=number)) for number in (0, 1)]
    champion = NO_CHAMPION
    for number in range(count):
        challenger, expected = renamed(base[number % 2], f"id-{number}"), champion
        before = len(world.versions()), len(world.ledger.records())
        answers = FORK.Queue()

        def deploy(challenger: PassedChallenger = challenger, expected: str = expected, run: str = f"run-{number}", answers: Any = answers) -> None:
            try:
                answers.put(world.promote(challenger, expected, run=run).outcome)
            except EvergreenError as error:
                answers.put(f"failed: {error}")

        begun = time.monotonic()
        process = in_a_fork(deploy)
        time.sleep(chance.uniform(0.0, 1.5))
        server.kill()
        time.sleep(chance.uniform(0.0, 1.0))
        server.start()
        server.wait()
        told = answers.get(timeout=LONGEST_DEPLOYMENT_S)
        in_time = ended(process) and time.monotonic() - begun < deadline_s + 30
        figures.done += 1
        figures.reached[told.partition(":")[0]] += 1
        if told == "promoted":
            champion = str(before[0] + 1)
            figures.wrong += [f"deployment {number}: {problem}" for problem in _problems(world, challenger, champion, before)]
        else:
            figures.wrong.append(f"deployment {number}: {told}")
        if not in_time:
            figures.wrong.append(f"deployment {number}: did not end in time")
    figures.seconds = time.monotonic() - started
    return figures
