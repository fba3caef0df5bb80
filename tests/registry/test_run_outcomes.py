"""Which records of a history tell that a run left a degraded champion in service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.registry.ledger import Entry, Ledger
from evergreen.registry.run_outcomes import run_outcomes
from evergreen.results.repair import NOT_REPAIRED
from evergreen.storage.opening import open_store
from support.commands import evergreen

if TYPE_CHECKING:
    from pathlib import Path

FIRED = {"triggers": [{"name": "performance", "value": 0.6, "threshold": 0.0, "verdict": "fired"}], "outlook": {"first_window_end": "2021-11-01T00:00:00Z"}}
KEEP = {"decision": "keep", **FIRED, "sentence": "The policy waits."}
RETRAIN = {"decision": "retrain", **FIRED}
SOUND = {"decision": "keep", "triggers": [{"name": "performance", "value": 0.9, "threshold": 0.0, "verdict": "quiet"}], "outlook": None}


def kept(run: str, evidence: dict[str, Any] = KEEP) -> Entry:
    return Entry("kept", run_id=run, step_name="decide_retraining", evidence=evidence)


def retraining(run: str, evidence: dict[str, Any] = RETRAIN) -> Entry:
    return Entry("retraining", run_id=run, step_name="decide_retraining", evidence=evidence)


def rejection(run: str) -> Entry:
    return Entry("rejection", run_id=run, step_name="evaluate_challenger", evidence={"verdict": "reject"})


def promotion(run: str, version: str = "2") -> Entry:
    return Entry("promotion", version, run_id=run, step_name="deploy_model")


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(open_store(str(tmp_path)), "rain")


@pytest.mark.parametrize(
    ("entries", "numbers"),
    [
        ([kept("a")], [1]),
        ([kept("none")], [1]),
        ([kept("a", SOUND)], []),
        ([retraining("a"), rejection("a")], [2]),
        ([retraining("a"), promotion("a")], []),
        ([retraining("a"), Entry("waiting for approval", run_id="a", step_name="deploy_model")], []),
        # It failed, or was a dry run: another record followed, and none of its own.
        ([retraining("a"), kept("b", SOUND)], [1]),
        ([retraining("a")], []),
        # A challenger that was rejected although nobody needed it.
        ([retraining("a", {"decision": "retrain", "triggers": []}), rejection("a")], []),
        ([kept("a", {"decision": "keep", "triggers": FIRED["triggers"]})], [1]),
        ([kept("a", {"decision": "keep", "triggers": "many"})], []),
        ([kept("a"), retraining("b"), promotion("b"), kept("c", SOUND)], [1]),
    ],
    ids=[
        "kept",
        "no run",
        "sound",
        "rejected",
        "promoted",
        "waiting",
        "abandoned",
        "under way",
        "on request",
        "earlier release",
        "unreadable",
        "then repaired",
    ],
)
def test_the_record_that_ends_the_run_tells(ledger: Ledger, entries: list[Entry], numbers: list[int]) -> None:
    for entry in entries:
        ledger.append(entry)
    assert run_outcomes(ledger.records()) == dict.fromkeys(numbers, NOT_REPAIRED)


def test_history_shows_it_in_the_table_and_in_json(ledger: Ledger, tmp_path: Path) -> None:
    for entry in (promotion("a", "1"), kept("b", SOUND), kept("c")):
        ledger.append(entry)
    place = ("history", "rain", "--ledger-uri", str(tmp_path))
    assert [record["outcome"] for record in json.loads(evergreen(*place, "--json").stdout)] == ["promotion", "kept", NOT_REPAIRED]
    table = evergreen(*place).stdout
    assert "".join(table.split()).count("repaired") == 1
    assert ledger.verify() == []
