"""load_champion and keep_champion against a real registry."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from kfp import dsl

from evergreen import deploy_model, keep_champion, load_champion
from evergreen.data.artifacts import is_present, read_frame, read_json
from evergreen.deployment.errors import DeploymentError
from evergreen.errors import StateError
from evergreen.models.files import load_model
from evergreen.registry.errors import RegistryError
from evergreen.registry.ledger import Entry
from evergreen.runs.records import read_run, reported_step
from evergreen.storage.local import LocalStore
from support.registry_fixtures import CONTRACT, FEATURES, ledger_bytes

if TYPE_CHECKING:
    from support.registry_fixtures import World


def load(world: World, outputs: dict[str, Any], **settings: Any) -> str:
    given = {"model_name": world.model_name, "tracking_uri": world.tracking_uri, "ledger_uri": world.ledger_uri, "run_id": "run-9", **settings}
    answer: str = load_champion.python_func(**outputs, **given)
    return answer


def deploy(world: World, inputs: dict[str, Any], expected: str = "none", **settings: Any) -> tuple[str, dict[str, Any]]:
    deployment = dsl.Artifact(name="deployment", uri=str(world.folder / "deployment"), metadata={})
    answer = deploy_model.python_func(
        **inputs,
        deployment=deployment,
        model_name=world.model_name,
        tracking_uri=world.tracking_uri,
        expected_champion=expected,
        ledger_uri=world.ledger_uri,
        **{"run_id": "run-1", **settings},
    )
    return answer, read_json(deployment.path)


def test_on_the_first_run_all_outputs_are_there_and_absent(world: World) -> None:
    outputs = world.outputs()
    assert load(world, outputs) == "none"
    for output in outputs.values():
        assert Path(output.path).is_file()
        assert not is_present(output)
    (record,) = read_run(LocalStore(world.ledger_uri), "run-9")
    assert (record.outcome, record.details["champion_version"]) == ("none", "none")


def test_what_was_deployed_is_what_is_loaded(world: World) -> None:
    inputs = world.challenger("a")
    answer, deployment = deploy(world, inputs)
    assert (answer, deployment["version"], deployment["champion_after"], deployment["ledger_record"]) == ("promoted", "1", "1", 1)
    outputs = world.outputs()
    assert load(world, outputs) == "1"
    rows = world.material.rows
    deployed, loaded = load_model(inputs["model"].path), load_model(outputs["model"].path)
    np.testing.assert_array_equal(loaded.predict_probability(rows), deployed.predict_probability(rows))
    assert loaded.description == deployed.description
    assert not (Path(outputs["model"].path) / "evergreen").exists()
    reference = read_frame(outputs["reference_data"].path)
    assert set(reference.columns) == {*FEATURES, "rain", "time"}
    assert reference.equals(rows[reference.columns].astype(reference.dtypes))
    assert Path(outputs["contract"].path).read_text() == CONTRACT
    baseline = read_json(outputs["baseline"].path)
    expected = {
        "present": True,
        "model_name": "rain",
        "version": "1",
        "model_uri": "models:/rain/1",
        "task": "classification",
        "metric": "accuracy",
        "score": 0.9,
        "lower": 0.85,
        "upper": 0.95,
        "rows": 120,
        "higher_is_better": True,
        "naive_score": 0.5,
        "fit_start": "2020-01-01T00:00:00Z",
        "fit_end": "2020-02-20T00:00:00Z",
        "features": FEATURES,
        "importances": {"temperature": 0.8},
        "challenger_id": "id-a",
        "promoted_at": world.ledger.records()[0].time,
    }
    assert {name: baseline[name] for name in expected} == expected
    assert baseline["training_manifest"]["fingerprint"] == "f-1"
    for output in outputs.values():
        assert {name: output.metadata[name] for name in ("present", "model_name", "version")} == {"present": True, "model_name": "rain", "version": "1"}
    (record,) = read_run(LocalStore(world.ledger_uri), "run-9")
    assert record.details == {
        "champion_version": "1",
        "fit_end": "2020-02-20T00:00:00Z",
        "alias_repaired": False,
        "promoted_after_approval": [],
        "targets_repaired": [],
    }


def test_the_newest_champion_is_loaded(world: World) -> None:
    deploy(world, world.challenger("a"))
    deploy(world, world.challenger("b", weights=1), "1", run_id="run-2")
    outputs = world.outputs()
    assert load(world, outputs) == "2"
    assert read_json(outputs["baseline"].path)["challenger_id"] == "id-b"


def test_an_alias_that_somebody_moved_is_put_back(world: World) -> None:
    deploy(world, world.challenger("a"))
    deploy(world, world.challenger("b", weights=1), "1", run_id="run-2")
    world.client.set_registered_model_alias("rain", "champion", "1")
    assert load(world, world.outputs()) == "2"
    assert world.alias() == "2"
    (record,) = read_run(LocalStore(world.ledger_uri), "run-9")
    assert record.details["alias_repaired"] is True
    world.client.delete_registered_model_alias("rain", "champion")
    assert load(world, world.outputs("again")) == "2"
    assert world.alias() == "2"


def test_without_a_ledger_the_alias_names_the_champion(world: World) -> None:
    world.promote(world.passed(world.challenger("a")), ledger=False)
    outputs = world.outputs()
    assert load(world, outputs, ledger_uri="none", run_id="none") == "1"
    assert read_json(outputs["baseline"].path)["promoted_at"] == ""


def test_a_champion_that_the_registry_lacks_is_an_error_and_the_alias_stays(world: World) -> None:
    deploy(world, world.challenger("a"))
    world.ledger.append(Entry("promotion", version_after="7"))
    with pytest.raises(RegistryError, match=rf"model 'rain' has no version 7 at {world.tracking_uri}. Check the number, and that this is the server"):
        load(world, world.outputs())
    assert world.alias() == "1"
    (record,) = read_run(LocalStore(world.ledger_uri), "run-9")
    assert record.state == "failed"


def test_a_champion_without_its_evidence_is_named(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    world.promote(challenger)
    location = world.client.get_logged_model(challenger.model_id).artifact_location.removeprefix("file://")
    for name in ("reference.parquet", "contract.yaml", "baseline.json"):
        file = Path(location) / "evergreen" / name
        content = file.read_bytes()
        file.unlink()
        with pytest.raises(RegistryError, match=rf"version 1 of model 'rain' is the champion but lacks {name}, because it was not registered by Evergreen"):
            load(world, world.outputs())
        file.write_bytes(content)
    assert load(world, world.outputs()) == "1"


def test_a_champion_that_evergreen_did_not_register_is_named(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    world.client.create_registered_model("rain")
    source = world.client.get_logged_model(challenger.model_id).artifact_location
    world.client.create_model_version("rain", source=source)
    world.client.set_registered_model_alias("rain", "champion", "1")
    with pytest.raises(RegistryError, match=r"lacks reference.parquet, because it was not registered by Evergreen"):
        load(world, world.outputs())
    assert world.alias() == "1"


def test_a_champion_whose_files_are_gone_is_named(world: World) -> None:
    challenger = world.passed(world.challenger("a"))
    world.promote(challenger)
    shutil.rmtree(world.client.get_logged_model(challenger.model_id).artifact_location.removeprefix("file://"))
    with pytest.raises(RegistryError, match=r"(?s)version 1 of model 'rain': cannot fetch its files from .*Check the artifact store"):
        load(world, world.outputs())


def test_a_model_name_with_a_quote_is_a_name_like_any_other(world: World) -> None:
    quoted = world.at(world.tracking_uri, model_name="children's rain")
    challenger = quoted.passed(quoted.challenger("a"))
    assert quoted.promote(challenger).outcome == "promoted"
    assert quoted.promote(challenger, "1", run="run-2").outcome == "already champion"
    assert load(quoted, quoted.outputs()) == "1"


def test_a_model_name_that_mlflow_refuses_is_told(world: World) -> None:
    with pytest.raises(StateError, match=r"MLflow rejected the request: .*a/b"):
        load(world, world.outputs(), model_name="a/b")


def test_deploy_model_reports_what_it_did(world: World) -> None:
    answer, deployment = deploy(world, world.challenger("a"))
    (record,) = read_run(LocalStore(world.ledger_uri), "run-1")
    assert (record.step_name, record.state, record.outcome) == ("deploy_model", "succeeded", answer)
    assert record.details == deployment
    with pytest.raises(DeploymentError, match="superseded"):
        deploy(world, world.challenger("b"), "none", run_id="run-2")
    (failed,) = read_run(LocalStore(world.ledger_uri), "run-2")
    assert failed.state == "failed"
    assert failed.error.startswith("DeploymentError: model 'rain': superseded")


def test_the_evaluation_can_name_the_champion_that_the_challenger_was_compared_with(world: World) -> None:
    first, second, third = (world.challenger(name) for name in ("a", "b", "c"))
    assert deploy(world, first, "evaluation")[0] == "promoted"
    # The second was compared with version 1, the third with nobody.
    content = json.loads(Path(second["evaluation"].path).read_text())
    Path(second["evaluation"].path).write_text(json.dumps({**content, "champion_version": "1"}))
    assert deploy(world, second, "evaluation", run_id="run-2")[1]["champion_before"] == "1"
    before = world.state()
    with pytest.raises(DeploymentError, match="superseded"):
        deploy(world, third, "evaluation", run_id="run-3")
    Path(third["evaluation"].path).write_text(json.dumps({**content, "champion_version": "unknown"}))
    with pytest.raises(DeploymentError, match="the evaluation does not record which version the challenger was compared with; found 'unknown'"):
        deploy(world, third, "evaluation", run_id="run-4")
    assert world.state() == before


def evidence(world: World, content: dict[str, Any]) -> dsl.Artifact:
    (world.folder / "evidence").write_text(json.dumps(content))
    return dsl.Artifact(name="evidence", uri=str(world.folder / "evidence"), metadata={})


def keep(world: World, content: dict[str, Any], **settings: Any) -> str:
    given = {"model_name": "rain", "champion_version": "1", "ledger_uri": world.ledger_uri, "run_id": "run-5", **settings}
    answer: str = keep_champion.python_func(evidence=evidence(world, content), reason="there was no reason to retrain", **given)
    return answer


def test_a_kept_champion_is_recorded_once_with_its_reasons(world: World) -> None:
    world.ledger.append(Entry("promotion", version_after="1"))
    decision = {"decision": "keep", "reasons": ["No drift.", "It holds."], "policy": {"long": "text"}}
    assert [keep(world, decision), keep(world, decision)] == ["kept", "kept"]
    records = world.ledger.records()
    assert [record.kind for record in records] == ["promotion", "kept"]
    assert (records[1].version_before, records[1].version_after, records[1].step_name) == ("1", "1", "keep_champion")
    assert records[1].evidence == {
        "decision": "keep",
        "reasons": ["No drift.", "It holds."],
        "policy": {"long": "text"},
        "sentence": "No drift. It holds.",
        "reason": "there was no reason to retrain",
        "champion_found": "1",
    }
    (run_record,) = read_run(LocalStore(world.ledger_uri), "run-5")
    assert (run_record.outcome, run_record.details) == ("kept", {"champion_version": "1", "ledger_record": 2})


def test_a_rejected_challenger_is_recorded_once_without_its_rows(world: World) -> None:
    evaluation = {"verdict": "reject", "sentence": "Not better.", "challenger_id": "id-b", "check_rows": [{}], "check_predictions": [1]}
    for _ in range(2):
        assert keep(world, evaluation, step_name="reject_challenger") == "rejection"
    (record,) = world.ledger.records()
    assert (record.kind, record.challenger_id, record.version_after, record.step_name) == ("rejection", "id-b", "none", "reject_challenger")
    assert record.evidence["sentence"] == "Not better."
    assert not {"check_rows", "check_predictions"} & set(record.evidence)


def test_a_promotion_and_a_rejection_hold_what_their_run_decided_and_on_which_data(world: World) -> None:
    decided = {"decision": "retrain", "rule": "performance", "reasons": ["It fell."], "mode": "auto", "policy": {"maximum_model_age_days": 30}}
    for run in ("run-1", "run-5"):
        with reported_step(ledger_uri=world.ledger_uri, run_id=run, step_name="decide_retraining") as step:
            step.details = {**decided, "triggers": []}
    deploy(world, world.challenger("a"))
    keep(world, {"verdict": "reject", "sentence": "Not better.", "challenger_id": "id-b"}, step_name="reject_challenger")
    promotion, rejection = world.ledger.records()
    assert promotion.evidence["decision_of_run"] == rejection.evidence["decision_of_run"] == decided
    manifest = promotion.evidence["training_manifest"]
    assert (manifest["source_uri"], manifest["fingerprint"], manifest["rows"]) == ("rows.parquet", "f-1", 200)


def test_keeping_puts_a_moved_alias_back_when_it_knows_the_server(world: World) -> None:
    deploy(world, world.challenger("a"))
    world.client.delete_registered_model_alias("rain", "champion")
    keep(world, {"decision": "keep", "reasons": []})
    assert world.alias() is None
    keep(world, {"decision": "keep", "reasons": []}, tracking_uri=world.tracking_uri)
    assert world.alias() == "1"


def test_without_a_ledger_keeping_records_nothing(world: World) -> None:
    assert keep(world, {"decision": "keep", "reasons": []}, ledger_uri="none", run_id="none") == "kept"
    assert ledger_bytes(world) == {}


def test_evidence_of_another_kind_is_refused(world: World) -> None:
    with pytest.raises(RegistryError, match=r"evidence .*: expected the JSON of decide_retraining or evaluate_model, with a decision or a verdict"):
        keep(world, {"score": 1})
    assert world.ledger.records() == []


def test_a_pod_without_a_ledger_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(StateError, match=r"state_ledger_uri is 'none': expected the folder or bucket of the ledger"):
        load(world, world.outputs(), ledger_uri="none", run_id="none")
