"""assess_model beside the six components that it stands for: on the same inputs the same answers, records, reports, ledger and failures."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.json_format import MessageToDict
from kfp import dsl

from evergreen import (
    assess_model,
    decide_retraining,
    deploy_model,
    detect_drift,
    ingest_data,
    load_champion,
    monitor_performance,
    validate_data,
)
from evergreen.errors import EvergreenError
from evergreen.images import DRIFT_IMAGE
from evergreen.registry.ledger import Ledger
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from support.killed_steps import killed_after_its_ledger_record

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from support.registry_fixtures import World

KINDS: dict[str, type] = {"report": dsl.HTML, "metrics": dsl.Metrics, "data": dsl.Dataset, "champion": dsl.Model, "model": dsl.Model}
STEPS = ["load_champion", "ingest_window", "validate_window", "detect_drift", "monitor_performance", "decide_retraining"]
REPORTS = ["validation_report", "drift_report", "performance_report", "decision_report"]
RESULTS = ["drift_result", "performance_result", "decision", "baseline", "champion_contract"]
OF_THIS_RUN = ("started_at", "duration_s", "reports")
CONTRACT = "columns: {temperature: {type: number}, pressure: {type: number}, city: {type: string}, rain: {type: number}, time: {type: timestamp}}"
COLUMNS = {"target_column": "rain", "timestamp_column": "time"}


@dataclass(frozen=True)
class Settings:
    """What both ways are given."""

    source: str
    model_name: str = "rain"
    window_end: str = "scheduled"
    schedule_time: str = "2020-06-15T00:00:00Z"
    contract: str = "inferred"
    policy: str = "default"
    mode: str = "auto"
    drift_config: str = "detectors: profile"
    label_delay_days: int = 1


class Way:
    """One way to look and decide, with a registry and a ledger of its own."""

    def __init__(self, folder: Path, world: World, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir()
        for entry in ("mlflow.db", "state"):
            place = world.folder / entry
            if place.is_dir():
                shutil.copytree(place, self.folder / entry)
            elif place.is_file():
                shutil.copy(place, self.folder / entry)
        self.tracking_uri, self.ledger_uri = f"sqlite:///{self.folder}/mlflow.db", str(self.folder / "state")
        self.places = {"ledger_uri": self.ledger_uri, "run_id": "run-2"}
        self.artifacts: dict[str, Any] = {}

    def out(self, *names: str) -> dict[str, Any]:
        made = {name: KINDS.get(name.rpartition("_")[2], dsl.Artifact)(name=name, uri=str(self.folder / name), metadata={}) for name in names}
        self.artifacts.update(made)
        return made

    def records(self) -> dict[str, dict[str, Any]]:
        found = read_run(open_store(self.ledger_uri), "run-2")
        return {record.step_name: {name: value for name, value in vars(record).items() if name not in OF_THIS_RUN} for record in found}

    def reports(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted((Path(self.ledger_uri) / "runs" / "run-2").glob("*.html"))}

    def ledger(self) -> list[tuple[Any, ...]]:
        records = Ledger(open_store(self.ledger_uri), "rain").records()
        return [(each.kind, each.step_name, each.version_before, each.version_after, each.challenger_id, each.evidence) for each in records]

    def windows(self) -> list[str]:
        return sorted(open_store(self.ledger_uri).names("windows/"))


def single_steps(way: Way, given: Settings) -> str:
    made = way.out(
        "champion", "champion_contract", "baseline", "reference_data", "data", "validated_data", "quarantined_data", "contract_used", *REPORTS, *RESULTS[:3]
    ) | way.out("metrics")
    load_champion.python_func(
        model=made["champion"],
        contract=made["champion_contract"],
        baseline=made["baseline"],
        reference_data=made["reference_data"],
        model_name=given.model_name,
        tracking_uri=way.tracking_uri,
        **way.places,
    )
    end = ingest_data.python_func(
        dataset=made["data"],
        source_uri=given.source,
        timestamp_column="time",
        window_end=given.window_end,
        schedule_time=given.schedule_time,
        model_name=given.model_name,
        step_name="ingest_window",
        **way.places,
    )
    checked = {name: made[name] for name in ("validated_data", "quarantined_data", "contract_used", "validation_report", "champion_contract")}
    valid = validate_data.python_func(
        dataset=made["data"], **checked, contract=given.contract, check_target_classes=False, step_name="validate_window", **COLUMNS, **way.places
    )
    drift = {name: made[name] for name in ("reference_data", "drift_result", "drift_report", "metrics")}
    detect_drift.python_func(current_data=made["validated_data"], model=made["champion"], config=given.drift_config, **drift, **COLUMNS, **way.places)
    scored = {name: made[name] for name in ("baseline", "performance_result", "performance_report", "metrics")}
    monitor_performance.python_func(
        model=made["champion"],
        current_data=made["validated_data"],
        label_delay_days=given.label_delay_days,
        policy_config=given.policy,
        **scored,
        **COLUMNS,
        **way.places,
        reference_data=made["reference_data"],
    )
    decided = {name: made[name] for name in ("drift_result", "performance_result", "baseline", "decision", "decision_report")}
    return str(
        decide_retraining.python_func(
            **decided, policy_config=given.policy, mode=given.mode, window_end=end, model_name=given.model_name, validation=valid, **way.places
        )
    )


def one_step(way: Way, given: Settings) -> str:
    made = way.out(*(name for name in assess_model.component_spec.outputs if name != "Output"))
    settings = {
        "model_name": given.model_name,
        "tracking_uri": way.tracking_uri,
        "source_uri": given.source,
        "window_end": given.window_end,
        "schedule_time": given.schedule_time,
        "label_delay_days": given.label_delay_days,
        "contract": given.contract,
        "drift_config": given.drift_config,
        "policy_config": given.policy,
        "mode": given.mode,
    }
    return str(assess_model.python_func(**made, **settings, **COLUMNS, **way.places))


@pytest.fixture
def source(tmp_path: Path, make_events: Callable[..., pd.DataFrame]) -> Settings:
    make_events(days=260, shift=0.0).drop(columns="humidity").to_parquet(tmp_path / "events.parquet", index=False)
    return Settings(str(tmp_path / "events.parquet"))


@pytest.fixture
def promoted(world: World) -> World:
    """A world whose version 1 is the champion."""
    deployment = dsl.Artifact(name="deployment", uri=str(world.folder / "deployment"), metadata={})
    places = {"model_name": "rain", "tracking_uri": world.tracking_uri, "ledger_uri": world.ledger_uri, "run_id": "run-1"}
    inputs = world.challenger("a")
    Path(inputs["contract"].path).write_text(CONTRACT)
    answer = deploy_model.python_func(**inputs, deployment=deployment, expected_champion="none", **places)
    assert answer == "promoted"
    return world


def compared(tmp_path: Path, world: World, given: Settings) -> tuple[Way, list[str]]:
    """Go both ways, and assert that nothing tells them apart."""
    ways, answers = [], []
    for name, go in (("single", single_steps), ("one", one_step)):
        way = Way(tmp_path, world, name)
        try:
            answers.append(go(way, given))
        except EvergreenError as error:
            answers.append(f"{type(error).__name__}: {error}".replace(str(way.folder), "FOLDER"))
        ways.append(way)
    single, one = ways
    assert answers[0] == answers[1]
    assert json.dumps(one.records(), sort_keys=True).replace(str(one.folder), "") == json.dumps(single.records(), sort_keys=True).replace(
        str(single.folder), ""
    )
    assert one.ledger() == single.ledger()
    assert one.windows() == single.windows()
    assert one.reports() == single.reports()
    for name in (*RESULTS, *REPORTS, "quarantined_data"):
        files = [Path(way.artifacts[name].path) for way in ways]
        assert files[0].exists() == files[1].exists(), name
        assert not files[0].exists() or files[0].read_bytes() == files[1].read_bytes(), name
    for name in ("champion", "baseline", "decision", "metrics", "quarantined_data", "champion_contract", "drift_result", "performance_result"):
        assert one.artifacts[name].metadata == single.artifacts[name].metadata, name
    return one, answers


def test_a_first_run_decides_the_same(tmp_path: Path, world: World, source: Settings) -> None:
    one, answers = compared(tmp_path, world, source)
    assert answers == ["retrain", "retrain"]
    assert list(one.records()) == STEPS
    assert [entry[:2] for entry in one.ledger()] == [("retraining", "decide_retraining")]
    assert one.records()["ingest_window"]["details"]["schedule_slot"] == "2020-06-15T00:00:00Z"
    decision = json.loads(Path(one.artifacts["decision"].path).read_text())
    assert (decision["rule"], decision["window_end"]) == ("no_champion", "2020-06-15T00:00:00Z")
    assert one.artifacts["champion"].metadata["present"] is False


def test_a_quiet_day_decides_the_same_and_keeps_once(tmp_path: Path, promoted: World, source: Settings) -> None:
    one, answers = compared(tmp_path, promoted, source)
    assert answers == ["keep", "keep"]
    assert list(one.records()) == STEPS
    assert one.records()["load_champion"]["outcome"] == "1"
    assert (Path(one.artifacts["champion"].path) / "MLmodel").exists()
    assert [entry[:2] for entry in one.ledger()] == [("promotion", "deploy_model"), ("kept", "decide_retraining")]
    assert one.ledger()[-1][-1]["champion_found"] == "1"
    assert set(one.artifacts["metrics"].metadata) == {
        "champion score at promotion",
        "champion score now",
        "drop since promotion",
        "features that drifted",
        "share of features that drifted",
    }
    assert json.loads(Path(one.artifacts["metrics"].path).read_text()) == one.artifacts["metrics"].metadata


def test_a_changed_world_decides_the_same(tmp_path: Path, promoted: World, source: Settings, make_events: Callable[..., pd.DataFrame]) -> None:
    make_events(days=260, shift=2.0, flip=True).drop(columns="humidity").to_parquet(source.source, index=False)
    one, answers = compared(tmp_path, promoted, replace(source, contract=CONTRACT))
    assert answers == ["retrain", "retrain"]
    outcomes = {name: record["outcome"] for name, record in one.records().items()}
    assert (outcomes["detect_drift"], outcomes["monitor_performance"]) == ("drift", "degraded")
    assert [entry[0] for entry in one.ledger()] == ["promotion", "retraining"]
    # Inputs two deviations away are hardly in the reference, so it is said that the loss cannot be divided.
    explained = one.records()["monitor_performance"]["details"]["explained"]
    assert explained == one.records()["decide_retraining"]["details"]["explained"]
    assert (explained["verdict"], explained["reason"][:50]) == ("cannot tell", "the reference holds too few rows like those of the")


def test_rows_that_are_put_aside_are_the_same(tmp_path: Path, promoted: World, source: Settings, make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(days=260).drop(columns="humidity")
    rows.loc[len(rows) - 440, "temperature"] = 400.0
    rows.to_parquet(source.source, index=False)
    one, _ = compared(tmp_path, promoted, replace(source, contract=CONTRACT.replace("{type: number}", "{type: number, maximum: 60, severity: quarantine}", 1)))
    assert one.records()["validate_window"]["details"]["rows_quarantined"] == 1
    assert one.artifacts["quarantined_data"].metadata == {"present": True, "rows": 1}


FAILURES: dict[str, tuple[dict[str, Any], str]] = {
    "load_champion": ({"model_name": ""}, ""),
    "ingest_window": ({"schedule_time": "[[ScheduledTime]]"}, "did not expand [[ScheduledTime]]"),
    "validate_window": ({"contract": "columns: {temperature: {type: number, maximum: -50}}"}, "temperature"),
    "detect_drift": ({"drift_config": "detectors: magic"}, "magic"),
    "monitor_performance": ({"policy": "performance: {minimum_rows: 0}"}, "minimum_rows"),
    "decide_retraining": ({"mode": "always"}, "always"),
}


@pytest.mark.parametrize("step", FAILURES)
def test_a_part_that_fails_is_recorded_under_its_name_and_the_parts_behind_it_not_at_all(tmp_path: Path, promoted: World, source: Settings, step: str) -> None:
    changes, message = FAILURES[step]
    one, answers = compared(tmp_path, promoted, replace(source, **changes))
    assert message in answers[0]
    assert list(one.records()) == STEPS[: STEPS.index(step) + 1]
    assert [record["state"] for record in one.records().values()] == [*["succeeded"] * STEPS.index(step), "failed"]
    assert message in one.records()[step]["error"]
    assert [entry[0] for entry in one.ledger()] == ["promotion"]
    if step == "validate_window":
        assert "broken" in one.records()[step]["outcome"]
        assert "validate_window.validation_report.html" in one.reports(), "the report of what is broken is kept"


def test_a_step_that_is_killed_and_run_again_records_once(tmp_path: Path, promoted: World, source: Settings) -> None:
    way = Way(tmp_path, promoted, "one")
    with killed_after_its_ledger_record():
        one_step(way, source)
    assert way.records()["decide_retraining"]["state"] == "failed"
    assert one_step(way, source) == "keep"
    assert [entry[0] for entry in way.ledger()] == ["promotion", "kept"]
    assert way.records()["decide_retraining"]["state"] == "succeeded"
    assert len(way.windows()) == 1
    assert Ledger(open_store(way.ledger_uri), "rain").verify() == []


def test_it_runs_in_the_image_that_detects_drift() -> None:
    executor = MessageToDict(assess_model.pipeline_spec)["deploymentSpec"]["executors"]["exec-assess-model"]
    assert executor["container"]["image"] == DRIFT_IMAGE
