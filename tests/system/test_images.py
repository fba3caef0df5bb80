"""The images, built by an engine, as strict as a cluster is: any user, a read-only root file system, and the whole pipeline in them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from evergreen.images import IMAGES
from evergreen.version import __version__
from support.servers import free_port
from system.docker_engine import docker_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1800)]

ROOT = Path(__file__).resolve().parents[2]
BASE, DRIFT, TRIGGER = IMAGES
STRICT = ("--rm", "--read-only", "--tmpfs=/tmp", "--user=54321:0", "--network=none")
LARGEST_MEGABYTES = {BASE: 750, DRIFT: 1200}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with docker_engine(tmp_path_factory.mktemp("engine")) as environment:
        yield environment


@pytest.fixture(scope="module")
def built(engine: dict[str, str]) -> dict[str, float]:
    """Build all images, as ``make images`` does, and return their megabytes above the Python image."""
    finished = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "images.py"), "build"], env=engine, capture_output=True, text=True, timeout=1500, check=False
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return {found[1]: float(found[2]) for found in re.finditer(r"^(\S+): (\d+) MB above", finished.stdout, re.MULTILINE)}


def run(engine: dict[str, str], image: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "run", *STRICT, image, *command], env=engine, capture_output=True, text=True, timeout=120, check=False)


def test_images_are_no_larger_than_they_may_be(built: dict[str, float]) -> None:
    assert set(built) == set(IMAGES)
    for image, largest in LARGEST_MEGABYTES.items():
        assert built[image] <= largest, image


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_says_what_it_is_and_who_it_runs_as(engine: dict[str, str], built: dict[str, float], image: str) -> None:
    assert image in built
    config = json.loads(subprocess.run(["docker", "image", "inspect", image], env=engine, capture_output=True, check=True).stdout)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.title"] in image
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", config["Labels"]["org.opencontainers.image.revision"])


@pytest.mark.parametrize(
    ("image", "code"),
    [
        (BASE, "import mlflow, skops.io, pandera, boto3, psycopg, confluent_kafka, google.cloud.storage, evergreen.training.step"),
        (DRIFT, "import alibi_detect.cd, evergreen.drift.alibi_detectors"),
        (TRIGGER, "import evergreen.trigger.service, evergreen.submission.runs, evergreen.submission.server_pipelines"),
    ],
)
def test_any_user_can_run_it_with_a_read_only_root(engine: dict[str, str], built: dict[str, float], image: str, code: str) -> None:
    assert image in built
    finished = run(engine, image, "python", "-c", f"import os; assert os.getuid() == 54321; {code}")
    assert finished.returncode == 0, finished.stderr
    assert run(engine, image, "touch", "/opt/evergreen/written").returncode != 0


def test_bills_of_materials_are_valid_and_whole(built: dict[str, float]) -> None:
    names = {}
    for image in built:
        target = image.rpartition("/")[2].partition(":")[0]
        text = (ROOT / ".evergreen" / "images" / f"{target}.cdx.json").read_text()
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
        names[image] = {component["name"] for component in json.loads(text)["components"]}
    assert {"kfp", "mlflow", "libc6", "kfp-evergreen"} <= names[BASE]
    assert "alibi-detect" in names[DRIFT] - names[BASE]
    assert not {"mlflow", "scikit-learn", "pandas"} & names[TRIGGER]


def test_the_trigger_answers_from_its_image(engine: dict[str, str], built: dict[str, float], tmp_path: Path) -> None:
    assert TRIGGER in built
    (tmp_path / "trigger.yaml").write_text("version: 1\npipeline: p\n")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    port = str(free_port())
    strict = [word for word in STRICT if word != "--network=none"]
    variables = ["--env=EVERGREEN_TRIGGER_CONFIG=/configuration/trigger.yaml", "--env=EVERGREEN_TRIGGER_WEBHOOK_SECRET=0123456789abcdef"]
    command = ["python", "-m", "uvicorn", "--factory", "evergreen.trigger.service:application", "--host", "127.0.0.1", "--port", port]
    words = [
        "docker",
        "run",
        *strict,
        "--network=host",
        f"--volume={tmp_path}:/configuration:ro",
        f"--name=evergreen-trigger-{port}",
        *variables,
        TRIGGER,
        *command,
    ]
    with subprocess.Popen(words, env=engine, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert _health(f"http://127.0.0.1:{port}/health", process) == {"status": "ok", "version": __version__}
        finally:
            subprocess.run(["docker", "kill", f"evergreen-trigger-{port}"], env=engine, capture_output=True, check=False)


def _health(address: str, process: subprocess.Popen[str]) -> object:
    deadline = time.monotonic() + 60
    while (answer := _answer(address)) is None:
        if time.monotonic() > deadline or process.poll() is not None:
            return "no answer"
        time.sleep(0.3)
    return json.loads(answer)


def _answer(address: str) -> bytes | None:
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return bytes(answer.read())
    except OSError:
        return None


def test_the_whole_pipeline_runs_in_the_images(engine: dict[str, str], built: dict[str, float]) -> None:
    assert BASE in built
    finished = subprocess.run([sys.executable, str(ROOT / "demo" / "docker_run.py")], env=engine, capture_output=True, text=True, timeout=900, check=False)
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    assert "none → 1" in finished.stdout
    ratios = [float(found) for found in re.findall(r"│\s+([0-9]+\.[0-9]{2})\s+│$", finished.stdout, re.MULTILINE)]
    assert len(ratios) == 6
