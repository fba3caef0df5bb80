"""`evergreen run --fail-on`: the exit status of a run whose steps all succeeded and whose champion stays degraded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.commands import evergreen

if TYPE_CHECKING:
    from pathlib import Path

PIPELINE = '''
from kfp import dsl


@dsl.component(base_image="python:3.11-slim")
def decide(ledger_uri: str, run_id: str, fired: bool):
    from evergreen.runs.records import reported_step

    trigger = {"name": "performance", "value": 0.6, "threshold": 0.0, "verdict": "fired" if fired else "quiet"}
    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name="decide_retraining") as record:
        record.outcome = "keep"
        decision = {"decision": "keep", "rule": "hysteresis", "reasons": ["The policy waits."], "triggers": [trigger]}
        record.details = {**decision, "window_end": "2021-11-01T00:00:00Z"}


@dsl.pipeline(name="evergreen-test-degraded")
def example(model_name: str, fired: bool, state_ledger_uri: str = "none"):
    """One decision."""
    decide(ledger_uri=state_ledger_uri, run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, fired=fired)
'''


@pytest.fixture
def pipeline(tmp_path: Path) -> str:
    path = tmp_path / "example.py"
    path.write_text(PIPELINE)
    return str(path)


@pytest.mark.parametrize(("fired", "options", "status"), [("true", ("--fail-on", "degraded"), 3), ("true", (), 0), ("false", ("--fail-on", "degraded"), 0)])
def test_a_degraded_champion_has_exit_status_3_if_asked(pipeline: str, tmp_path: Path, fired: str, options: tuple[str, ...], status: int) -> None:
    finished = evergreen("run", pipeline, "-p", "model_name=rain", "-p", f"fired={fired}", "--json", *options, folder=tmp_path)
    assert finished.status == status, finished.stderr
    told = finished.json
    degraded = fired == "true"
    assert (told["status"], told["outcome"]) == ("succeeded", "degraded, not repaired" if degraded else "kept")
    assert bool(told["repair"]) is degraded
    assert ("Degraded since 1 November 2021, not repaired." in finished.stderr) is degraded
    assert ("The policy waits." in told["repair"].get("why", "")) is degraded


def test_an_unknown_finding_is_refused_before_the_run(pipeline: str, tmp_path: Path) -> None:
    finished = evergreen("run", pipeline, "-p", "model_name=rain", "-p", "fired=true", "--fail-on", "degrated", folder=tmp_path)
    assert finished.status == 2
    assert "error: Unknown --fail-on 'degrated'. Valid values: degraded, rejected. Did you mean 'degraded'? Correct the option." in finished.stderr
    assert not (tmp_path / ".evergreen" / "ledger").exists()
