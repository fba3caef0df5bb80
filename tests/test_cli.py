from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import typer.main
import yaml

from evergreen.cli.main import ROOMS_WITH_COMMANDS, app
from support.commands import evergreen
from support.laptop import WITHOUT_SERVING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
EVERGREEN = str(Path(sys.executable).parent / "evergreen")
PIPELINE = str(ROOT / "pipelines" / "continuous_retraining.py")


# Whole runs by processes of their own: the slowest of all files but those of the pipelines.
pytestmark = pytest.mark.begins_first


def in_a_shell(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the installed program; most tests go without a process of its own."""
    return subprocess.run([EVERGREEN, *arguments], cwd=folder, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, make_events: Callable[..., pd.DataFrame]) -> Path:
    folder = tmp_path_factory.mktemp("work")
    make_events(days=400, per_day=2).to_csv(folder / "events.csv", index=False)
    parameters = {
        "data_source_uri": "events.csv",
        "data_timestamp_column": "time",
        "data_target_column": "rain",
        "data_window_days": 30,
        "model_name": "rain",
        "policy_config": WITHOUT_SERVING,
    }
    (folder / "parameters.yaml").write_text(yaml.safe_dump(parameters))
    return folder


def test_a_run_ends_with_one_json_object_and_history_shows_the_promotion(folder: Path) -> None:
    finished = in_a_shell("run", PIPELINE, "--params", "parameters.yaml", "-p", "data_window_days=60", "--json", folder=folder)
    assert finished.returncode == 0, finished.stderr
    result = json.loads(finished.stdout.splitlines()[-1])
    assert {"status", "decision", "reasons", "evaluation", "champion_before", "champion_after", "duration_s", "reports"} <= set(result)
    assert (result["status"], result["decision"], result["champion_before"], result["champion_after"]) == ("succeeded", "retrain", "none", "1")
    assert result["evaluation"]["verdict"] == "promote"
    assert result["duration_s"] > 0
    for uri in result["reports"].values():
        assert Path(uri).read_text().startswith("<!")
    # People watch standard error when standard output is for a program.
    for step in ("load_champion", "ingest_window", "train_challenger", "deploy_model", "record_run"):
        assert step in finished.stderr

    history = evergreen("history", "rain", "--json", folder=folder)
    assert history.status == 0, history.stderr
    records = json.loads(history.stdout)
    assert [(record["kind"], record["version_after"]) for record in records] == [("retraining", "none"), ("promotion", "1")]
    assert "promotion" in evergreen("history", "rain", folder=folder).stdout


def test_a_failed_run_has_exit_status_1_and_says_why(folder: Path) -> None:
    finished = evergreen("run", PIPELINE, "--params", "parameters.yaml", "-p", "data_timestamp_column=when", "--json", folder=folder)
    assert finished.status == 1
    result = json.loads(finished.stdout.splitlines()[-1])
    assert result["status"] == "failed"
    assert "'when'" in result["error"]
    assert Path(result["log"]).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "absent.py"], "pipeline file absent.py: no such file"),
        (["run", PIPELINE], "'data_source_uri'"),
        (["run", PIPELINE, "-p", "data_window_dais=3"], "Did you mean 'data_window_days'"),
        (["run", PIPELINE, "--params", "absent.yaml"], "parameter file absent.yaml"),
        (["compile", "absent.py"], "pipeline file absent.py"),
    ],
)
def test_bad_input_has_exit_status_2_and_one_line(folder: Path, arguments: list[str], message: str) -> None:
    finished = evergreen(*arguments, folder=folder)
    assert finished.status == 2
    assert finished.stderr.startswith("error: ")
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr


def test_compile_writes_yaml_with_the_images_of_the_team(folder: Path) -> None:
    finished = evergreen("compile", PIPELINE, "-o", "pipeline.yaml", "--image-registry", "registry.example/team", folder=folder)
    assert finished.status == 0, finished.stderr
    assert "registry.example/team/evergreen-base:" in (folder / "pipeline.yaml").read_text()


def test_history_of_an_unknown_model_says_so(folder: Path) -> None:
    finished = evergreen("history", "nobody", folder=folder)
    assert finished.status == 0
    assert "has no records of model 'nobody'" in finished.stdout


def command_names() -> list[str]:
    group = typer.main.get_group(app)
    return group.list_commands(typer.Context(group))


def test_every_command_of_every_room_can_be_asked_for() -> None:
    given = {*typer.main.get_group(app).commands}
    for commands in (ROOT / "components" / "evergreen").glob("*/commands.py"):
        room = typer.Typer()
        import_module(f"evergreen.{commands.parent.name}.commands").register(room)
        offered = {*typer.main.get_group(room).commands}
        assert offered == {*ROOMS_WITH_COMMANDS[commands.parent.name]}
        given |= offered
    assert given == {*command_names()}


def test_a_misspelt_command_is_corrected(folder: Path) -> None:
    finished = in_a_shell("drfit", folder=folder)
    assert finished.returncode == 2
    assert "'drift'" in finished.stderr
