"""`evergreen submit --fail-on`: the run's records, not only KFP's word, decide on the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from submission.kfp_runs import Script
from submission.test_failures import two_steps, write_record
from support.commands import evergreen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from submission.kfp_server import KfpServer
    from support.commands import Finished

    Submitted = Callable[..., Finished]

__all__ = ["two_steps"]

DEGRADED = {"decision": "keep", "reasons": ["The policy waits."], "rule": "hysteresis", "outlook": {"first_window_end": "2021-11-01T00:00:00Z"}}
REJECTED = {"verdict": "reject", "conclusion": "not better", "reasons": ["It is no better."]}


@pytest.fixture
def submitted(kfp: KfpServer, two_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Submitted:
    """Submit a pipeline whose run leaves the given records in the ledger."""
    started = kfp.run_from

    def submit(records: dict[str, Any], *options: str) -> Finished:
        def start(wanted: Any) -> Any:
            run = started(wanted)
            for name, fields in records.items():
                write_record(tmp_path / "ledger", run.run_id, name, **{"state": "succeeded", **fields})
            return run

        monkeypatch.setattr(kfp, "run_from", start)
        return evergreen("submit", str(two_steps), "--poll-seconds", "0.05", "-p", f"state_ledger_uri={tmp_path / 'ledger'}", "--json", *options)

    return submit


@pytest.mark.parametrize(
    ("records", "wanted", "status", "outcome"),
    [
        ({"decide_retraining": {"outcome": "keep", "details": DEGRADED}}, ["degraded"], 3, "degraded, not repaired"),
        ({"decide_retraining": {"outcome": "keep", "details": {"decision": "keep"}}}, ["degraded"], 0, "kept"),
        ({"decide_retraining": {"outcome": "keep", "details": DEGRADED}}, ["rejected"], 0, "degraded, not repaired"),
        (
            {
                "decide_retraining": {"outcome": "retrain", "details": {"decision": "retrain"}},
                "evaluate_challenger": {"outcome": "reject", "details": REJECTED},
            },
            ["degraded", "rejected"],
            3,
            "rejected",
        ),
    ],
    ids=["degraded", "kept", "another finding", "rejected"],
)
def test_a_finding_has_exit_status_3(submitted: Submitted, records: dict[str, Any], wanted: list[str], status: int, outcome: str) -> None:
    options = [part for finding in wanted for part in ("--fail-on", finding)]
    finished = submitted(records, *options)
    assert finished.status == status, finished.stderr
    told = finished.json
    assert (told["state"], told["run_outcome"]) == ("SUCCEEDED", outcome)
    assert bool(told["repair"]) is (outcome == "degraded, not repaired")
    assert ("not repaired" in finished.stderr) is bool(told["repair"])


def test_a_run_that_fails_keeps_exit_status_1(kfp: KfpServer, submitted: Submitted) -> None:
    kfp.script = Script(outcome="FAILED", log=None)
    assert submitted({"decide_retraining": {"outcome": "keep", "details": DEGRADED}}, "--fail-on", "degraded").status == 1


def test_without_the_runs_records_the_end_is_not_guessed(submitted: Submitted, tmp_path: Path) -> None:
    finished = submitted({}, "--fail-on", "degraded")
    assert finished.status == 2
    assert finished.json["state"] == "SUCCEEDED"
    assert f"can be read at '{tmp_path / 'ledger'}'" in finished.stderr
    assert "Run the command where the ledger can be read" in finished.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fail-on", "degrated"), "Unknown --fail-on 'degrated'. Valid values: degraded, rejected. Did you mean 'degraded'?"),
        (("--fail-on", "degraded", "--no-follow"), "--fail-on degraded: the run is not followed"),
        (("--fail-on", "degraded", "--upload-only"), "--fail-on degraded: the run is not followed"),
    ],
)
def test_an_option_that_cannot_work_is_refused_before_anything_is_uploaded(kfp: KfpServer, two_steps: Path, options: tuple[str, ...], message: str) -> None:
    finished = evergreen("submit", str(two_steps), *options)
    assert finished.status == 2
    assert message in finished.stderr
    assert kfp.requests == []
