"""What `evergreen rollback` and `evergreen approve` say and do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.deployment.errors import DeploymentError

if TYPE_CHECKING:
    from support.registry_fixtures import World


def call(world: World, *words: str) -> str:
    said = CliRunner().invoke(app, [*words, "--tracking-uri", world.tracking_uri, "--ledger-uri", world.ledger_uri], catch_exceptions=False)
    assert said.exit_code == 0
    return said.stdout


def test_a_version_is_approved_and_rolled_back_from_the_command_line(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_APPROVAL_KEY", "key")
    world.promote(world.passed(world.challenger("a")))
    world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2", approval="required")
    assert call(world, "approve", "rain", "2", "--by", "Ada", "--reason", "looks right") == (
        "Signed approval of version 2 by Ada recorded (ledger record 3).\nPromoted: the champion is version 2 (ledger record 4).\n"
    )
    words = ("rollback", "rain", "--from", "2", "--reason", "it crashes")
    assert call(world, *words) == (
        "Rolled back: Version 2 was rolled back to version 1: it crashes (ledger record 5).\nThe champion is version 1; version 2 will not be promoted again.\n"
    )
    assert json.loads(call(world, *words, "--json"))["outcome"] == "already rolled back"
    assert (world.alias(), world.ledger.champion(), len(world.ledger.records())) == ("1", "1", 5)


def test_a_rollback_needs_a_reason(world: World) -> None:
    said = CliRunner().invoke(app, ["rollback", "rain"])
    assert said.exit_code == 2
    with pytest.raises(DeploymentError, match=r"expected text. Give a reason"):
        call(world, "rollback", "rain", "--reason", "none")
    assert world.state() == ([], None, [])
