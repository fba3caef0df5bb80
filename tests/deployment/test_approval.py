"""A person's approval: recorded, signed, carried out once, and worth nothing when it is too late or forged."""

from __future__ import annotations

import pytest

from evergreen.deployment.approval import ApprovalRequest, ApprovedPromotion, approve, finish_approved
from evergreen.deployment.errors import DeploymentError
from evergreen.registry.approval import KEY_VARIABLE
from evergreen.registry.audit import audit
from evergreen.registry.ledger import Entry
from evergreen.registry.versions import ModelRegistry
from support.registry_fixtures import World, ledger_bytes

WAIT = "waiting for approval"


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


@pytest.fixture
def waiting(world: World) -> World:
    """Version 1 is the champion, version 2 waits."""
    world.promote(world.passed(world.challenger("a")))
    assert world.promote(world.passed(world.challenger("b", weights=1)), "1", run="run-2", approval="required").outcome == WAIT
    return world


def yes(world: World, version: str = "2", by: str = "Ada", reason: str = "looks right") -> ApprovedPromotion:
    return approve(ApprovalRequest(world.model_name, version, by, reason), tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri)


def next_run(world: World) -> list[ApprovedPromotion]:
    return finish_approved(model_name=world.model_name, tracking_uri=world.tracking_uri, ledger_uri=world.ledger_uri, run_id="run-9")


def test_an_approved_version_becomes_champion(waiting: World) -> None:
    result = yes(waiting)
    assert (result.champion_before, result.champion_after, result.signed, result.approval_record, result.ledger_record) == ("1", "2", False, 3, 4)
    assert waiting.state() == (["1", "2"], "2", ["promotion", WAIT, "approval", "promotion"])
    approval, promotion = waiting.ledger.records()[2:]
    assert (approval.actor, approval.version_after, approval.evidence["reason"], approval.evidence["waiting_record"]) == ("Ada", "1", "looks right", 2)
    assert (promotion.version_before, promotion.version_after, promotion.challenger_id, promotion.evidence["approval_record"]) == ("1", "2", "id-b", 3)
    assert promotion.evidence["challenger_score"] == 0.9
    assert not {"evergreen.approval", "evergreen.stage"} & set(waiting.tags("2"))
    assert audit(waiting.ledger, ModelRegistry(waiting.tracking_uri, "rain")).problems == []


def test_a_second_approval_changes_nothing_more(waiting: World) -> None:
    yes(waiting)
    before = waiting.state(), ledger_bytes(waiting)
    assert yes(waiting, by="Bob").ledger_record == 4
    assert (waiting.state(), ledger_bytes(waiting)) == before


@pytest.mark.parametrize("place", ["carry_out", "_promotion"])
def test_the_next_run_finishes_what_a_killed_approval_began(waiting: World, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(f"evergreen.deployment.approval._Approvals.{place}", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            yes(waiting)
    assert waiting.state() == (["1", "2"], "1", ["promotion", WAIT, "approval"])
    assert [promotion.version for promotion in next_run(waiting)] == ["2"]
    assert waiting.state() == (["1", "2"], "2", ["promotion", WAIT, "approval", "promotion"])
    assert next_run(waiting) == []


def test_what_was_not_approved_is_not_promoted_by_the_next_run(waiting: World) -> None:
    before = waiting.state(), ledger_bytes(waiting)
    waiting.client.set_model_version_tag("rain", "2", "evergreen.approval", "approved")
    assert next_run(waiting) == []
    assert (waiting.state(), ledger_bytes(waiting)) == before


def test_an_approval_that_comes_too_late_is_refused(waiting: World) -> None:
    waiting.promote(waiting.passed(waiting.challenger("c")), "1", run="run-3")
    before = waiting.state(), ledger_bytes(waiting)
    with pytest.raises(DeploymentError, match=r"approval of version 2: model 'rain': superseded.*compared with version 1, but the champion is now version 3"):
        yes(waiting)
    assert (waiting.state(), ledger_bytes(waiting)) == before


def test_an_approval_that_another_promotion_overtook_is_marked_by_the_next_run(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr("evergreen.deployment.approval._Approvals._promotion", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            yes(waiting)
    waiting.promote(waiting.passed(waiting.challenger("c")), "1", run="run-3")
    before = waiting.state()
    assert next_run(waiting) == []
    assert waiting.state() == before
    assert waiting.tags("2")["evergreen.approval"] == "superseded"


def test_an_approval_is_signed_where_a_key_is_configured(waiting: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "the key")
    assert yes(waiting).signed
    registry = ModelRegistry(waiting.tracking_uri, "rain")
    assert audit(waiting.ledger, registry, approval_key="the key").problems == []
    assert audit(waiting.ledger, registry, approval_key="another key").problems == [
        "Record 3, the approval of version 2 by Ada, is not signed with the configured key."
    ]


@pytest.mark.parametrize("forged", ["", "00" * 32, "ü"])
def test_a_forged_approval_is_worth_nothing(waiting: World, monkeypatch: pytest.MonkeyPatch, forged: str) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "the key")
    wait = waiting.ledger.records()[1]
    evidence = {"version": "2", "reason": "trust me", "waiting_hash": wait.hash, "signature": forged}
    waiting.ledger.append(Entry("approval", challenger_id="id-b", evidence=evidence, actor="Mallory"))
    waiting.client.set_model_version_tag("rain", "2", "evergreen.approval", "approved")
    before = waiting.state(), ledger_bytes(waiting)
    assert next_run(waiting) == []
    assert (waiting.state(), ledger_bytes(waiting)) == before
    assert yes(waiting).by == "Ada"


@pytest.mark.parametrize(
    ("version", "by", "reason", "told"),
    [("9", "Ada", "ok", "version 9 is not waiting for approval"), ("2", " ", "ok", "--by is ' '"), ("2", "Ada", "none", "--reason is 'none'")],
)
def test_what_cannot_be_approved_is_refused_and_changes_nothing(waiting: World, version: str, by: str, reason: str, told: str) -> None:
    before = waiting.state(), ledger_bytes(waiting)
    with pytest.raises(DeploymentError, match=told):
        yes(waiting, version, by, reason)
    assert (waiting.state(), ledger_bytes(waiting)) == before
