from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from submission.kfp_server import KfpServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PIPELINE = '''
from kfp import dsl


@dsl.component(base_image="python:3.11-slim")
def load_champion(text: str) -> str:
    return text


@dsl.pipeline(name="evergreen-test-{marker}")
def example(model_name: str, days: int = 30):
    """{marker}

    Args:
        model_name: A name.
        days: A number.
    """
    load_champion(text=model_name).set_display_name("Load champion").set_caching_options(False)
'''


@pytest.fixture
def kfp(monkeypatch: pytest.MonkeyPatch) -> Iterator[KfpServer]:
    """A server of the test's own, whose runs end as the test says."""
    for variable in ("EVERGREEN_KFP_TOKEN", "EVERGREEN_KFP_COOKIE"):
        monkeypatch.delenv(variable, raising=False)
    with KfpServer() as server:
        monkeypatch.setenv("EVERGREEN_KFP_HOST", server.host)
        yield server


@pytest.fixture
def kfp_host() -> Iterator[str]:
    """The real KFP that EVERGREEN_KFP_HOST names, or one of the test's own."""
    real = os.environ.get("EVERGREEN_KFP_HOST")
    if real:
        yield real
        return
    with KfpServer() as server:
        yield server.host


@pytest.fixture
def pipeline_file(tmp_path: Path) -> Path:
    """A pipeline of one step, whose name no other test uses."""
    path = tmp_path / "example.py"
    path.write_text(PIPELINE.replace("{marker}", tmp_path.name.lower().replace("_", "-")[-40:].strip("-")))
    return path
