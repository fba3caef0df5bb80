"""The very copy that was registered has to be servable, or it is not promoted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from evergreen.deployment.errors import DeploymentError
from evergreen.models.recorded_predictions import RECORD_FILE

if TYPE_CHECKING:
    from support.registry_fixtures import World

SMALL = {"check": True, "model_megabytes": 0.0001}
SLOW = {"check": True, "p99_milliseconds": 0.0001}
HUNGRY = {"check": True, "memory_megabytes": 1.0}


def test_the_registered_copy_is_served_in_a_fresh_process_before_it_is_promoted(world: World) -> None:
    limits = {"check": True, "p99_milliseconds": 60_000.0, "model_megabytes": 100.0, "memory_megabytes": 10_000.0}
    deployment = world.promote(world.passed(world.challenger("a"), serving=limits))
    assert world.alias() == "1"
    found = {check.name: check for check in deployment.checks}
    assert found["serving"].detail == "A fresh process loads the model and predicts 200 rows exactly as at training"
    assert "within the limit of 100 MB" in found["serving: size"].detail
    recorded = {check["name"]: check for check in world.ledger.records()[-1].evidence["checks"]}
    assert recorded["serving: latency"]["detail"] == found["serving: latency"].detail
    assert "p50" in recorded["serving: latency"]["detail"]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (
            SMALL,
            r"serving: size: The model's size is .* MB, above the limit of 0.0001 MB. The champion is unchanged; choose a smaller model, or raise",
        ),
        (SLOW, r"serving: latency: p99 of a prediction for one row \(p50 .* ms\) is .* ms, above the limit of 0.0001 ms. The champion is unchanged"),
        (HUNGRY, r"serving: memory: The serving process's memory is .* MB, above the limit of 1 MB. The champion is unchanged"),
    ],
)
def test_a_registered_copy_beyond_a_limit_is_never_promoted(world: World, limits: dict[str, Any], told: str) -> None:
    world.promote(world.passed(world.challenger("a")))
    with pytest.raises(DeploymentError, match=told):
        world.promote(world.passed(world.challenger("b"), serving=limits), "1", run="run-2")
    assert world.state() == (["1", "2"], "1", ["promotion"])
    assert "evergreen.stage" not in world.tags("2")


def test_a_registered_copy_that_answers_otherwise_than_at_training_is_never_promoted(world: World) -> None:
    world.promote(world.passed(world.challenger("a")))
    challenger = world.passed(world.challenger("b"), serving={"check": True})
    location = Path(world.client.get_logged_model(challenger.model_id).artifact_location.removeprefix("file://"))
    record = json.loads((location / RECORD_FILE).read_text())
    record["predictions"][0] = 1 - record["predictions"][0]
    (location / RECORD_FILE).write_text(json.dumps(record))
    with pytest.raises(DeploymentError, match=r"A fresh process predicts 1 of 200 rows differently from the process that fitted the model"):
        world.promote(challenger, "1", run="run-2")
    assert world.state() == (["1", "2"], "1", ["promotion"])
    # Mended in the registry, the same challenger passes.
    record["predictions"][0] = 1 - record["predictions"][0]
    (location / RECORD_FILE).write_text(json.dumps(record))
    assert world.promote(challenger, "1", run="run-3").champion_after == "2"
    assert world.alias() == "2"
