"""A value that is secret reaches no compiled pipeline, no log, no report and no record: canaries are planted and searched for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from evergreen.secrets.files import SECRET_FOLDER, SECRET_KEYS
from evergreen.submission.connection import COOKIE_VARIABLE, TOKEN_VARIABLE
from evergreen.trigger.settings import SECRET_VARIABLES
from submission.kfp_server import KfpServer
from support.local_runs import local_home

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
PIPELINE = str(ROOT / "pipelines" / "continuous_retraining.py")
EVERGREEN = str(Path(sys.executable).parent / "evergreen")
CANARY = "c4n4ry-8f21"

# Whole runs by processes of their own: the slowest of all files but those of the pipelines.
pytestmark = pytest.mark.begins_first

CONNECTIONS = {"MLFLOW_TRACKING_URI", "AWS_ENDPOINT_URL", "EVERGREEN_DATABASE_URL"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment in which everything that can hold a secret holds a canary of its own."""
    names = {*SECRET_KEYS, *SECRET_VARIABLES.values(), TOKEN_VARIABLE, COOKIE_VARIABLE}
    planted = {name: f"{CANARY}-{name.lower()}" for name in names - CONNECTIONS}
    database = tmp_path_factory.mktemp("database") / f"{CANARY}.db"
    # A database whose name is a canary: its URL may hold a password, so none of it may be shown.
    planted["EVERGREEN_DATABASE_URL"] = f"sqlite:///{database}"
    planted["AWS_ENDPOINT_URL"] = f"http://user:{CANARY}-endpoint@127.0.0.1:9"
    return {**os.environ, **planted}


def where_canaries_are(folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]


def evergreen(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([EVERGREEN, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=240, check=False)


def test_nothing_secret_is_compiled(tmp_path: Path, environment: dict[str, str]) -> None:
    for name, more in (("plain.yaml", []), ("objects.yaml", ["--objects"])):
        assert evergreen(tmp_path, environment, "compile", PIPELINE, "-o", name, *more).returncode == 0
    assert len(list(tmp_path.glob("*.yaml"))) == 2
    assert where_canaries_are(tmp_path) == []
    # What is compiled is where the secret's files lie; which secret it is, is a parameter.
    secrets = yaml.safe_load_all((tmp_path / "plain.yaml").read_text())
    next(secrets)
    for executor in next(secrets)["platforms"]["kubernetes"]["deploymentSpec"]["executors"].values():
        (mounted,) = executor["secretAsVolume"]
        assert (mounted["mountPath"], mounted["optional"]) == (SECRET_FOLDER, True)
        assert "secretAsEnv" not in executor


def test_nothing_secret_is_written_or_printed_by_a_run(
    tmp_path: Path, environment: dict[str, str], empty_database: Path, make_events: Callable[..., pd.DataFrame]
) -> None:
    local_home(tmp_path / ".evergreen", empty_database)
    make_events(days=400, per_day=2).to_csv(tmp_path / "events.csv", index=False)
    parameters = ["-p", "data_source_uri=events.csv", "-p", "data_timestamp_column=time", "-p", "data_target_column=rain", "-p", "model_name=rain"]
    # MLflow answers to its credentials on a server only; the local registry takes none.
    finished = evergreen(tmp_path, environment, "run", PIPELINE, *parameters)
    assert finished.returncode == 0, finished.stderr
    assert CANARY not in finished.stdout + finished.stderr
    written = list((tmp_path / ".evergreen").rglob("*"))
    assert {".log", ".html", ".json"} <= {path.suffix for path in written}
    assert where_canaries_are(tmp_path) == []


def test_nothing_secret_is_told_by_a_run_that_fails_on_its_database(tmp_path: Path, environment: dict[str, str], empty_database: Path) -> None:
    local_home(tmp_path / ".evergreen", empty_database)
    parameters = [
        "-p",
        "data_source_uri=env:EVERGREEN_DATABASE_URL#events",
        "-p",
        "data_timestamp_column=time",
        "-p",
        "data_target_column=rain",
        "-p",
        "model_name=rain",
    ]
    finished = evergreen(tmp_path, environment, "run", PIPELINE, *parameters)
    assert finished.returncode == 1
    assert "EVERGREEN_DATABASE_URL" in finished.stdout + finished.stderr
    assert CANARY not in finished.stdout + finished.stderr
    assert where_canaries_are(tmp_path) == []


def test_nothing_secret_is_told_by_a_refused_submission(tmp_path: Path, environment: dict[str, str]) -> None:
    with KfpServer() as server:
        server.token = "another"
        arguments = ("submit", PIPELINE, "--upload-only", "--host", server.host)
        refused = evergreen(tmp_path, environment, *arguments)
        assert refused.returncode == 2
        assert "access denied (401)" in refused.stderr
        server.token = environment[TOKEN_VARIABLE]
        accepted = evergreen(tmp_path, environment, *arguments)
    assert accepted.returncode == 0, accepted.stderr
    assert CANARY not in refused.stdout + refused.stderr + accepted.stdout + accepted.stderr
    assert where_canaries_are(tmp_path) == []
