"""The suite that needs a cluster, as far as it can be tried without one: its commands, parameters and objects, and how it reads what a cluster answers."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import typer
import yaml
from typer.main import get_group

from cluster.kubectl import Kubectl, KubectlError, wait_for
from cluster.objects import gitops_objects, named_pipeline_source, schedule_job, trigger_objects
from cluster.parameters import FULL, LEAN, RUNS, WEATHER, write_recent
from cluster.runs import Cluster, compile_command, run_parameters, submit_command
from cluster.settings import ROOT, ClusterSettings, read_settings
from cluster.table import Row, as_json, lines
from cluster.test_schedules import create_command, slot_of
from cluster.workflows import EXECUTOR, Workflow
from evergreen.cli.main import app
from evergreen.pipeline.executor import load_function
from evergreen.pipeline.loading import arguments_for, load_pipeline, read_parameter_file
from evergreen.submission.connection import connect
from evergreen.trigger.settings import TriggerSettings
from manifests.policy import violations
from pipeline.recordings import recorded_inputs
from submission.kfp_server import KfpServer

if TYPE_CHECKING:
    from collections.abc import Callable

SUITE = ROOT / "tests" / "cluster"
SETTINGS = read_settings({})

FAKE_KUBECTL = """#!{python}
import json, os, subprocess, sys
words = sys.argv[3:]
if words[0] == "exec":
    sys.exit(subprocess.run(words[words.index("--") + 1:]).returncode)
if words[:2] == ["get", "workflows.argoproj.io"]:
    sys.stdout.write(open(os.environ["FAKE_WORKFLOWS"]).read())
elif words[:2] == ["get", "pods"]:
    print(json.dumps({{"items": []}}))
elif words[0] == "port-forward":
    print("error: pods not found", file=sys.stderr)
    sys.exit(1)
else:
    print("Error from server (NotFound): " + " ".join(words), file=sys.stderr)
    sys.exit(1)
"""


@pytest.fixture
def fake_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], None]:
    """Put a kubectl on the PATH that runs here what it should run in a pod, and knows the Workflow that the test gives."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(FAKE_KUBECTL.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("FAKE_WORKFLOWS", str(tmp_path / "workflows.json"))
    return lambda workflow: (tmp_path / "workflows.json").write_text(json.dumps({"items": [workflow]})) and None


def workflow_of(inputs: list[dict[str, Any]], *, packed: bool = False) -> dict[str, Any]:
    """A Workflow whose pods got these executor inputs: each with a driver before it, and named by the node above it, too."""
    nodes: dict[str, Any] = {"root": {"type": "DAG", "inputs": {"parameters": [{"name": "parent-dag-id", "value": "1"}]}}}
    for number, recorded in enumerate(inputs):
        patch = {
            "containers": [
                {
                    "name": "main",
                    "command": ["/kfp-launcher/launch", "--executor_input", json.dumps(recorded["executor_input"]), "--component_spec", "{}", "--"],
                    "args": ["python3", "-m", EXECUTOR, f"room.{recorded['function']}", "--executor_input", "{{$}}"],
                }
            ]
        }
        given = {"parameters": [{"name": "pod-spec-patch", "value": json.dumps(patch)}]}
        nodes[f"driver-{number}"] = {"type": "Pod", "outputs": {"parameters": [{"name": "condition", "value": "true"}]}}
        nodes[f"retry-{number}"] = {"type": "Retry", "inputs": given}
        nodes[f"pod-{number}"] = {"type": "Pod", "inputs": given}
    status: dict[str, Any] = {"finishedAt": "2026-11-29T03:04:05Z", "nodes": nodes}
    if packed:
        status = {"finishedAt": status["finishedAt"], "compressedNodes": base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()}
    return {"metadata": {"name": "continuous-retraining-abcde"}, "status": status}


@lru_cache
def loaded(pipeline: str) -> Any:
    return load_pipeline(ROOT / "pipelines" / f"{pipeline}.py")


def shared() -> dict[str, Any]:
    return {**read_parameter_file(SETTINGS.parameter_file), "model_name": "rain"}


def test_the_suite_is_collected_with_its_order_of_runs() -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", str(SUITE)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    names = [line.partition("::")[2] for line in finished.stdout.splitlines() if "::" in line]
    assert names[-1] == "test_no_run_was_packed", "what looks at all runs has to come after them"
    assert len(names) > 20


def test_without_a_cluster_it_says_what_it_needs() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(SUITE)]
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    finished = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 4
    assert "set EVERGREEN_KFP_HOST" in finished.stdout + finished.stderr


@pytest.mark.parametrize("name", RUNS)
def test_every_run_has_parameters_that_its_pipeline_takes(name: str) -> None:
    started = RUNS[name]
    parameters = run_parameters(started, ROOT / "pipelines" / f"{started.pipeline}.yaml", shared(), {})
    arguments = arguments_for(loaded(started.pipeline), parameters)
    assert arguments["state_ledger_uri"].startswith("/var/lib/evergreen/")
    assert {**arguments, **started.parameters} == arguments, "a parameter of the run would be sent in another type than is written"
    used = [file.name for file in SUITE.glob("*.py") if file.name != "parameters.py" and f'"{name}"' in file.read_text()]
    assert used, f"no test starts the run {name!r}"


def test_components_that_it_names_exist() -> None:
    from cluster.test_faults import REPLAY

    assert load_function(REPLAY) is not None


@pytest.mark.parametrize(
    "command",
    [
        compile_command(SETTINGS, Path("pipeline.py"), Path("pipeline.yaml")),
        compile_command(read_settings({"EVERGREEN_CLUSTER_IMAGE_REGISTRY": "registry.example/team"}), Path("pipeline.py"), Path("pipeline.yaml")),
        submit_command(SETTINGS, Path("pipeline.yaml"), Path("parameters.yaml"), name="a run"),
        *[create_command("nightly", Path("parameters.yaml"), "pipeline", pipeline="lean-retraining", track=track) for track in ("latest", "pinned")],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_every_command_exists(command: list[str]) -> None:
    group: Any = get_group(app)
    while command and not command[0].startswith("-") and hasattr(group, "get_command"):
        group = group.get_command(typer.Context(group), command[0])
        command = command[1:]
    assert group.make_context("command", list(command)).params


def test_the_quiet_years_end_a_day_or_two_from_now(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    now = datetime(2026, 11, 29, 6, 25, tzinfo=timezone.utc)
    table = pq.read_table(write_recent(tmp_path / "recent.parquet", now=now))
    newest = max(table["observed_at"].to_pylist()).replace(tzinfo=timezone.utc)
    assert timedelta(0) <= newest - now < timedelta(days=2)
    whole = pq.read_table(WEATHER)
    assert table.num_rows < whole.num_rows
    assert table.drop_columns("observed_at").equals(whole.slice(0, table.num_rows).drop_columns("observed_at"))


def test_the_slot_of_a_run_is_the_last_one_before_it() -> None:
    assert slot_of(datetime(2026, 11, 29, 2, 19, 12, 500, tzinfo=timezone.utc)) == datetime(2026, 11, 29, 2, 18, tzinfo=timezone.utc)


@pytest.mark.parametrize("registry", ["", "registry.example/team"])
def test_the_objects_of_the_suite_are_those_of_the_project_with_names_of_its_own(registry: str) -> None:
    settings = read_settings({"EVERGREEN_CLUSTER_IMAGE_REGISTRY": registry, "EVERGREEN_CLUSTER_SERVICE_ACCOUNT": "pipeline-runner"})
    job = schedule_job(settings, pipeline="suite", name="suite-1", cron="*/2 * * * *", parameters=shared())
    trigger = trigger_objects(settings, pipeline="suite", name="suite-2", parameters=shared())
    for found in [*job, *trigger]:
        kubernetes_validate.validate(found, "1.33", strict=True)
        assert violations(found) == []
        assert found["metadata"]["name"].startswith("suite-")
    container = job[2]["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].startswith(registry or "ghcr.io/")
    group: Any = get_group(app)
    for word in container["command"][1:3]:
        group = group.get_command(typer.Context(group), word)
    understood = group.make_context("replace", [container["command"][3], *container["args"]]).params
    assert (understood["name"], understood["pipeline"], understood["cron"]) == ("suite-1", "suite", "*/2 * * * *")
    assert understood["service_account"] == "pipeline-runner"
    configuration = TriggerSettings.model_validate(yaml.safe_load(trigger[0]["data"]["trigger.yaml"]))
    assert (configuration.pipeline, configuration.parameters["model_name"]) == ("suite", "rain")
    assert "data_window_end" in configuration.parameters_from_events


def test_a_pipeline_under_another_name_has_objects_of_that_name(tmp_path: Path) -> None:
    from evergreen.pipeline.compilation import KubernetesObjects, compile_pipeline

    source = named_pipeline_source(LEAN, "evergreen-gitops-1a2b3c4d", tmp_path)
    compile_pipeline(source, tmp_path / "objects.yaml", objects=KubernetesObjects("kubeflow"))
    pipeline, version = gitops_objects(tmp_path / "objects.yaml")
    assert (pipeline["kind"], pipeline["metadata"]["name"]) == ("Pipeline", "evergreen-gitops-1a2b3c4d")
    assert version["spec"]["pipelineName"] == pipeline["metadata"]["name"]


@pytest.mark.parametrize("packed", [False, True])
def test_a_workflow_tells_its_pods_its_size_and_what_steps_were_handed(packed: bool) -> None:
    inputs = recorded_inputs()[:5]
    plain, found = Workflow(workflow_of(inputs)), Workflow(workflow_of(inputs, packed=packed))
    assert found.packed is packed
    assert (found.pods, found.node_bytes) == (10, plain.node_bytes)
    assert found.node_bytes > sum(len(json.dumps(recorded["executor_input"])) for recorded in inputs)
    assert [step.executor_input for step in found.step_inputs()] == [recorded["executor_input"] for recorded in inputs]
    assert [step.component for step in found.step_inputs()] == [f"room.{recorded['function']}" for recorded in inputs]


def test_further_attempts_are_counted() -> None:
    once, twice = recorded_inputs()[0], recorded_inputs()[1]
    found = Workflow(workflow_of([once, twice, twice]))
    assert found.attempts(f"room.{twice['function']}") == 2
    assert sorted(found.attempts_by_component().values()) == [1, 2]
    assert len(found.step_inputs()) == 2


def test_a_run_is_started_followed_and_read(tmp_path: Path, fake_kubectl: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch) -> None:
    from evergreen.runs.records import reported_step
    from evergreen.storage.opening import open_store

    fake_kubectl(workflow_of(recorded_inputs()[:2]))
    ledger = tmp_path / "ledger"
    parameters = tmp_path / "shared.yaml"
    parameters.write_text(yaml.safe_dump({**shared(), "state_ledger_uri": str(ledger)}))
    with KfpServer() as server:
        monkeypatch.setenv("EVERGREEN_KFP_HOST", server.host)
        settings = read_settings({"EVERGREEN_KFP_HOST": server.host, "EVERGREEN_CLUSTER_PARAMETERS": str(parameters)})
        cluster = Cluster(settings, connect(server.host), tmp_path)
        run = cluster.run("rollback", "rain")
        (sent,) = server.runs.values()
    assert (run.run_id, run.state, run.said["state"]) == (sent.run_id, "SUCCEEDED", "SUCCEEDED")
    assert sent.service_account == "evergreen-pipeline"
    assert sent.runtime_config.parameters["model_name"] == "rain"
    assert "data_window_end" not in sent.runtime_config.parameters, "a pipeline gets the shared parameters that it has"
    assert run.ended_workflow.pods == 4
    with reported_step(ledger_uri=str(ledger), run_id=run.run_id, step_name="roll_back_model") as record:
        record.outcome = "rolled back"
    assert cluster.summary(run).outcome == "rolled back"
    assert cluster.records(run)["roll_back_model"].outcome == "rolled back"
    assert cluster.ledger("rain").champion() == "none"
    assert open_store(str(ledger)).names("runs/"), "the suite reads a copy, and changes nothing"


def test_a_run_that_ends_otherwise_fails_the_test_with_what_was_printed(
    tmp_path: Path, fake_kubectl: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_kubectl(workflow_of([]))
    with KfpServer() as server:
        monkeypatch.setenv("EVERGREEN_KFP_HOST", server.host)
        cluster = Cluster(read_settings({"EVERGREEN_KFP_HOST": server.host}), connect(server.host), tmp_path)
        with pytest.raises(AssertionError, match=r"(?s)rollback: the run ended as SUCCEEDED, not as FAILED.*Started run"):
            cluster.finish(cluster.start("rollback", "rain"), expected="FAILED")


def test_files_go_into_the_cluster_and_out_again(tmp_path: Path, fake_kubectl: Callable[[dict[str, Any]], None]) -> None:
    del fake_kubectl
    kubectl = Kubectl("kubeflow")
    (tmp_path / "volume" / "runs").mkdir(parents=True)
    (tmp_path / "volume" / "runs" / "a.json").write_text("{}")
    fetched = kubectl.fetch("evergreen-files", str(tmp_path / "volume"), tmp_path / "copy")
    assert [str(path.relative_to(fetched)) for path in fetched.rglob("*.json")] == ["runs/a.json"]
    kubectl.put(WEATHER, "evergreen-files", str(tmp_path / "volume" / "weather.parquet"))
    assert (tmp_path / "volume" / "weather.parquet").read_bytes() == WEATHER.read_bytes()
    assert not (tmp_path / "volume" / "weather.parquet.part").exists()


def test_what_kubectl_says_is_what_fails_the_test(fake_kubectl: Callable[[dict[str, Any]], None]) -> None:
    del fake_kubectl
    kubectl = Kubectl("kubeflow")
    with pytest.raises(KubectlError, match=r"NotFound.*delete pod lost"):
        kubectl.run("delete", "pod", "lost")
    assert kubectl.log("lost") == ""
    with pytest.raises(KubectlError, match="port-forward ended: error: pods not found"), kubectl.forwarded("pod/lost", 8080):
        pass
    with pytest.raises(KubectlError, match="a pod: waited for 0 s in vain"):
        wait_for("a pod", lambda: None, timeout_s=0, pause_s=0.01)


def test_the_table_says_what_every_test_cost() -> None:
    rows = [Row("a first run promotes", "ok", 301.4, 30, 934_100), Row("gitops", "not run", note="no such objects")]
    head, _, first, second = lines(rows)
    assert head.split() == ["what", "was", "tried", "result", "seconds", "pods", "node", "bytes"]
    assert first.split()[-5:] == ["promotes", "ok", "301", "30", "934,100"]
    assert second.endswith("no such objects")
    assert json.loads(as_json(rows))[0]["node_bytes"] == 934_100


def test_settings_that_are_not_given_are_those_of_the_workflow() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "cluster.yaml").read_text())
    commands = "\n".join(step.get("run", "") for step in workflow["jobs"]["kind"]["steps"])
    assert f"namespace {SETTINGS.namespace} " in commands
    assert f"pod/{SETTINGS.files_pod}" in commands
    assert f"deployment/{SETTINGS.mlflow_deployment}" in commands
    assert isinstance(SETTINGS, ClusterSettings)
    assert "make test-cluster" in commands
    assert FULL in {started.pipeline for started in RUNS.values()}


def test_the_documentation_names_every_setting_and_what_is_tried() -> None:
    text = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    variables = set(re.findall(r"EVERGREEN_CLUSTER_[A-Z_]+", (SUITE / "settings.py").read_text()))
    assert sorted(name for name in variables if name not in text) == []


@pytest.mark.parametrize("page", ["README.md", "docs/cluster.md"])
def test_links_between_the_pages_lead_somewhere(page: str) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
