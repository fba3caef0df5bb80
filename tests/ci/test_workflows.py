"""Workflows and templates for other people's CI: pinned, and calling what exists."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.main import get_group

from evergreen.cli.main import app
from evergreen.images import IMAGES
from evergreen.pipeline.loading import arguments_for, load_pipeline, read_parameter_file
from evergreen.pipeline.platform import read_platform_file
from evergreen.submission.cron import parse_cron
from manifests.policy import violations

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
TEMPLATES = sorted((ROOT / "manifests" / "ci").glob("*"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_jobs_have_few_rights(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text())
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 90, name
        assert job["permissions"]["contents"] == "read", name
        for step in job["steps"]:
            assert "uses" not in step or re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step["uses"]), step
            assert step.get("with", {}).get("persist-credentials", False) is False, step
    for line in path.read_text().splitlines():
        assert "uses:" not in line or re.search(r"@[0-9a-f]{40} # v[0-9]+\.[0-9]+\.[0-9]+$", line), line


@pytest.mark.parametrize("path", [*WORKFLOWS, *TEMPLATES], ids=lambda path: path.name)
def test_every_make_target_exists(path: Path) -> None:
    called = set(re.findall(r"(?:run:|- |'|^\s+)\s*make ([a-z][a-z-]+)", path.read_text(), re.MULTILINE))
    assert called <= TARGETS


def test_other_systems_do_the_same_steps() -> None:
    for name in ("gitlab-ci.yml", "Jenkinsfile", "circleci.yml"):
        text = (ROOT / "manifests" / "ci" / name).read_text()
        assert [target for target in ("lint", "test", "images", "push", "pipeline", "upload") if f"make {target}" not in text] == [], name


def test_the_matrix_builds_every_image() -> None:
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yaml").read_text())
    targets = release["jobs"]["images"]["strategy"]["matrix"]["target"]
    assert {f"evergreen-{target}" for target in targets} == {image.rpartition("/")[2].partition(":")[0] for image in IMAGES}


def test_the_run_in_kind_takes_parameters_and_platform_that_fit() -> None:
    folder = ROOT / "manifests" / "ci"
    pipeline = load_pipeline(ROOT / "pipelines" / "continuous_retraining.py")
    assert arguments_for(pipeline, read_parameter_file(folder / "kind-parameters.yaml"))["data_window_end"] == "1954-01-01"
    (volume,) = read_platform_file(folder / "kind-platform.yaml").every_step.volumes
    claim, pod = yaml.safe_load_all((folder / "kind.yaml").read_text())
    assert volume.claim == claim["metadata"]["name"] == pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert violations(pod) == []


def parse(command: list[str]) -> dict[str, Any]:
    """Return what the command line understands of a command, and fail where it does not."""
    assert command[0] == "evergreen"
    group = get_group(app)
    found = group.get_command(typer.Context(group), command[1])
    assert found, f"there is no command {command[1]}"
    return dict(found.make_context(command[1], command[2:]).params)


def test_the_airflow_dag_calls_a_command_that_exists_and_takes_no_secret_in_it() -> None:
    tree = ast.parse((ROOT / "manifests" / "ci" / "airflow_dag.py").read_text())
    (operator,) = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "BashOperator"]
    given = {keyword.arg: keyword.value for keyword in operator.keywords}
    command = ast.literal_eval(given["bash_command"])
    assert "TOKEN" not in command
    understood = parse(shlex.split(re.sub(r"\{\{.*?\}\}", "VALUE", command)))
    assert list(understood["assignments"]) == ["data_window_end=VALUE"]
    assert parse_cron(
        next(ast.literal_eval(keyword.value) for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords if keyword.arg == "schedule")
    )


def test_the_cron_example_calls_a_command_that_exists() -> None:
    (line,) = [line for line in (ROOT / "manifests" / "ci" / "crontab.example").read_text().splitlines() if line[:1].isdigit()]
    assert parse_cron(" ".join(line.split()[:5])).in_words() == "At 03:00 (UTC)"
    command = line[line.index("evergreen submit") : line.index(" >>")]
    assert str(parse(shlex.split(command))["parameter_file"]) == "/opt/evergreen/parameters.yaml"
