"""decide_retraining records in the ledger what it decided, once: retried, and with a keep_champion behind it that somebody's own pipeline still has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen import decide_retraining, keep_champion
from evergreen.policy.history import read_history
from evergreen.registry.ledger import Ledger
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from support.killed_steps import killed_after_its_ledger_record

if TYPE_CHECKING:
    from pathlib import Path

END = "1981-02-01T00:00:00Z"
HOLDS = {"verdict": "holds", "metric": "accuracy", "score": 0.8, "lower": 0.78, "upper": 0.82, "sentence": "Accuracy holds."}
BASELINE = {"metric": "accuracy", "score": 0.8, "fit_end": "1981-01-01T00:00:00Z", "promoted_at": "1981-01-02T00:00:00Z"}


class Steps:
    """The steps of runs that share one ledger."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ledger_uri = str(folder / "state")
        self.ledger = Ledger(open_store(self.ledger_uri), "rain")

    def decide(self, performance: dict[str, Any], run: str = "run-1", **settings: Any) -> str:
        given = {"drift_result": {"verdict": "no drift", "rows": {"current": 50}}, "performance_result": performance, "baseline": BASELINE}
        artifacts: dict[str, Any] = {}
        for name, content in given.items():
            (self.folder / name).write_text(json.dumps(content))
            artifacts[name] = dsl.Artifact(name=name, uri=str(self.folder / name), metadata={})
        # As the driver hands it over: truth values are numbers by then.
        artifacts["baseline"].metadata.update({"present": 1, "model_name": "rain", "version": "3", "display_name": "baseline"})
        artifacts["decision"] = dsl.Artifact(name="decision", uri=str(self.folder / "decision"), metadata={})
        artifacts["decision_report"] = dsl.HTML(name="report", uri=str(self.folder / "report"), metadata={})
        given_settings = {"window_end": END, "model_name": "rain", "ledger_uri": self.ledger_uri, "run_id": run, **settings}
        return str(decide_retraining.python_func(**{**artifacts, **given_settings}))

    def keep(self, run: str = "run-1") -> str:
        evidence = dsl.Artifact(name="decision", uri=str(self.folder / "decision"), metadata={})
        place = {"model_name": "rain", "champion_version": "3", "ledger_uri": self.ledger_uri, "run_id": run}
        return str(keep_champion.python_func(evidence=evidence, reason="no reason to retrain", **place))

    def kinds(self) -> list[str]:
        return [record.kind for record in self.ledger.records()]


@pytest.fixture
def steps(tmp_path: Path) -> Steps:
    return Steps(tmp_path)


def test_a_champion_that_stays_is_recorded_by_the_step_that_decides(steps: Steps) -> None:
    assert steps.decide(HOLDS) == "keep"
    (record,) = steps.ledger.records()
    decision = json.loads((steps.folder / "decision").read_text())
    assert (record.kind, record.run_id, record.step_name, record.version_after) == ("kept", "run-1", "decide_retraining", "none")
    expected = {"sentence": " ".join(decision["reasons"]), "reason": "no reason to retrain", "champion_found": "3"}
    assert record.evidence == {**decision, **expected}
    (past,) = read_history(steps.ledger, run_id="run-2")
    assert (past.window_end, past.decision, past.retrained) == (END, "keep", False)


def test_a_baseline_that_was_imported_without_its_metadata_tells_the_version_itself(steps: Steps) -> None:
    imported = dsl.Artifact(name="baseline", uri=str(steps.folder / "imported"), metadata={})
    (steps.folder / "imported").write_text(json.dumps({**BASELINE, "version": "8"}))
    steps.decide(HOLDS, baseline=imported)
    assert steps.ledger.records()[0].evidence["champion_found"] == "8"


def test_a_retraining_is_recorded_as_one_and_not_as_kept(steps: Steps) -> None:
    assert steps.decide(HOLDS, mode="force") == "retrain"
    assert steps.kinds() == ["retraining"]


def test_a_step_that_is_killed_after_it_recorded_and_run_again_records_once(steps: Steps) -> None:
    with killed_after_its_ledger_record():
        steps.decide(HOLDS)
    assert steps.kinds() == ["kept"]
    assert steps.decide(HOLDS) == "keep"
    assert steps.kinds() == ["kept"]
    (record,) = read_run(open_store(steps.ledger_uri), "run-1")
    assert (record.state, record.outcome) == ("succeeded", "keep")
    assert steps.ledger.verify() == []


def test_a_keep_champion_behind_it_finds_the_record_there(steps: Steps) -> None:
    steps.decide(HOLDS)
    assert [steps.keep(), steps.keep()] == ["kept", "kept"]
    assert steps.kinds() == ["kept"]
    kept = next(record for record in read_run(open_store(steps.ledger_uri), "run-1") if record.step_name == "keep_champion")
    assert (kept.outcome, kept.details) == ("kept", {"champion_version": "3", "ledger_record": 1})


def test_what_another_run_recorded_is_another_record(steps: Steps) -> None:
    steps.decide(HOLDS)
    steps.decide(HOLDS, run="run-2")
    steps.keep(run="run-3")
    assert [(record.kind, record.run_id) for record in steps.ledger.records()] == [("kept", "run-1"), ("kept", "run-2"), ("kept", "run-3")]


@pytest.mark.parametrize("settings", [{"model_name": "none"}, {"ledger_uri": "none"}], ids=["no model", "no ledger"])
def test_without_a_model_or_a_ledger_only_keep_champion_records(steps: Steps, settings: dict[str, str]) -> None:
    assert steps.decide(HOLDS, **settings) == "keep"
    assert steps.kinds() == []
    steps.keep()
    assert [(record.kind, record.step_name) for record in steps.ledger.records()] == [("kept", "keep_champion")]


def test_two_windows_that_one_run_decides_about_are_two_records(steps: Steps) -> None:
    steps.decide(HOLDS, step_name="decide_on_january")
    steps.decide(HOLDS, step_name="decide_on_february", window_end="1981-03-01T00:00:00Z")
    assert steps.keep() == "kept"
    assert [record.step_name for record in steps.ledger.records()] == ["decide_on_january", "decide_on_february"]


DEGRADED = {**HOLDS, "verdict": "degraded", "score": 0.7, "lower": 0.68, "upper": 0.72, "baseline_score": 0.8}


def test_a_degraded_champion_that_stays_is_recorded_with_its_outlook(steps: Steps) -> None:
    never = "{triggers: [no_champion], maximum_model_age_spans: null}"
    for number, end in enumerate(("1981-02-01T00:00:00Z", "1981-03-01T00:00:00Z"), start=1):
        assert steps.decide(DEGRADED, run=f"run-{number}", window_end=end, policy_config=never) == "keep"
    outlook = steps.ledger.records()[-1].evidence["outlook"]
    assert (outlook["first_window_end"], outlook["windows"], outlook["next_window_end"]) == ("1981-02-01T00:00:00Z", 2, "1981-03-29T00:00:00Z")
    (record,) = read_run(open_store(steps.ledger_uri), "run-2")
    assert record.details["outlook"] == outlook == json.loads((steps.folder / "decision").read_text())["outlook"]
    assert [setting["name"] for setting in outlook["settings"]] == ["triggers"]
    steps.decide(HOLDS, run="run-3", window_end="1981-04-01T00:00:00Z")
    assert steps.ledger.records()[-1].evidence["outlook"] is None
