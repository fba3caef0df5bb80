"""The way through HTTP: promote and load with a real MLflow server, and what a stopped one leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from evergreen.deployment.rollback import RollbackRequest, roll_back
from evergreen.errors import StateError
from evergreen.models.files import load_model
from evergreen.registry.champion import write_champion
from support.registry_fixtures import ledger_bytes

if TYPE_CHECKING:
    from support.mlflow_server import RestartableServer
    from support.registry_fixtures import World

pytestmark = pytest.mark.mlflow_server


def test_a_promotion_through_a_server_that_is_stopped_and_started_and_its_way_back(world: World, server: RestartableServer) -> None:
    remote = world.at(server.uri, model_name="remote")
    inputs = remote.challenger("a")
    result = remote.promote(remote.passed(inputs))
    assert (result.outcome, result.version) == ("promoted", "1")
    assert remote.state() == (["1"], "1", ["promotion"])
    outputs = remote.outputs()
    champion = write_champion(tracking_uri=server.uri, ledger_uri=remote.ledger_uri, model_name="remote", **outputs)
    assert (champion.version, champion.fit_end, champion.alias_repaired) == ("1", "2020-02-20T00:00:00Z", False)
    rows = world.material.rows
    np.testing.assert_array_equal(load_model(outputs["model"].path).predict(rows), load_model(inputs["model"].path).predict(rows))

    second = remote.passed(remote.challenger("b", weights=1))
    server.kill()
    before = ledger_bytes(remote)
    started = time.monotonic()
    with pytest.raises(StateError, match=rf"state_tracking_uri '{server.uri}': the MLflow server cannot be reached"):
        remote.promote(second, "1", run="run-2")
    with pytest.raises(StateError, match=rf"state_tracking_uri '{server.uri}': the MLflow server cannot be reached"):
        write_champion(tracking_uri=server.uri, ledger_uri=remote.ledger_uri, model_name="remote", **remote.outputs("again"))
    assert time.monotonic() - started < 12
    assert ledger_bytes(remote) == before

    server.start()
    server.wait()
    assert remote.promote(second, "1", run="run-2").outcome == "promoted"
    server.kill()
    server.start()
    server.wait()
    request = RollbackRequest("remote", "it crashes", run_id="back")
    assert roll_back(request, tracking_uri=server.uri, ledger_uri=remote.ledger_uri).champion_after == "1"
    assert remote.state() == (["1", "2"], "1", ["promotion", "promotion", "rollback"])
