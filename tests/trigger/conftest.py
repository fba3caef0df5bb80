from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from starlette.testclient import TestClient

from evergreen.trigger.service import application
from evergreen.trigger.settings import TriggerSettings
from submission.conftest import PIPELINE
from submission.kfp_server import KfpServer
from support.commands import evergreen
from trigger.senders import ALERTMANAGER_TOKEN, MLFLOW_SECRET, WEBHOOK_SECRET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    (folder / "example.py").write_text(PIPELINE.replace("{marker}", "trigger"))
    finished = evergreen("compile", str(folder / "example.py"))
    assert finished.status == 0, finished.stderr
    return folder / "example.yaml"


@pytest.fixture
def kfp(compiled: Path) -> Iterator[KfpServer]:
    """A KFP that has the pipeline."""
    from evergreen.submission.connection import connect
    from evergreen.submission.server_pipelines import upload_version

    with KfpServer() as server:
        upload_version(connect(server.host), compiled, pipeline_name="evergreen-test-trigger", name="1", tags={})
        yield server


@pytest.fixture
def make_settings(kfp: KfpServer) -> Callable[..., TriggerSettings]:
    def make(**changes: Any) -> TriggerSettings:
        given = {
            "version": 1,
            "pipeline": "evergreen-test-trigger",
            "parameters": {"model_name": "rain"},
            "parameters_from_events": ["days"],
            "kfp_host": kfp.host,
            "webhook_secret": WEBHOOK_SECRET,
            "mlflow_secret": MLFLOW_SECRET,
            "alertmanager_token": ALERTMANAGER_TOKEN,
        }
        return TriggerSettings.model_validate({**given, **changes})

    return make


@pytest.fixture
def client(make_settings: Callable[..., TriggerSettings]) -> Iterator[TestClient]:
    with TestClient(application(make_settings())) as found:
        yield found


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "trigger.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "pipeline": "p"}))
    return path
