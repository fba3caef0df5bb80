"""The demo's first scheduled run, with every step in a container from Evergreen's images.

The containers are as restricted as on a cluster: an arbitrary user ID, a read-only root file system and a writable /tmp. MLflow is a server on
the host's network; the ledger and the artifacts are in a folder that is mounted at the same path. At the end, the demo prints how long each image
takes from the start of a container to the first useful line of a step, compared to the imports that the step needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from evergreen.cli.display import LiveSteps, print_summary
from evergreen.images import IMAGES
from evergreen.pipeline.compilation import image_replacements
from evergreen.pipeline.loading import arguments_for, load_pipeline
from evergreen.pipeline.local_run import run_locally
from evergreen.pipeline.local_steps import filled_in
from evergreen.reporting.summary import summarise_run
from evergreen.runs.local_home import LocalHome

if TYPE_CHECKING:
    from evergreen.pipeline.local_dag import Launch, Step

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".evergreen" / "demo-docker"
USER = "54321:0"
MLFLOW_DEADLINE_S = 120

START_TIMES = {
    # The bare imports that a step needs, and the step's own code together with them.
    "load_champion": ("base", "import mlflow", "import evergreen.registry.champion, mlflow"),
    "ingest_data": ("base", "import numpy, pyarrow.parquet", "import evergreen.ingestion.step, pyarrow.parquet"),
    "validate_data": ("base", "import pandas, pyarrow.parquet", "import evergreen.validation.step, pandas, pyarrow.parquet"),
    "detect_drift": ("drift", "import numpy, pyarrow.parquet", "import evergreen.drift.step, pyarrow.parquet"),
    "train_model": ("base", "import mlflow, pandas, sklearn.ensemble, skops.io", "import evergreen.training.step, mlflow, pandas, sklearn.ensemble, skops.io"),
    "evaluate_model": ("base", "import pandas, sklearn.ensemble, skops.io", "import evergreen.evaluation.comparison, pandas, sklearn.ensemble, skops.io"),
}


def main() -> int:
    """Run the demo; the exit status is 0 if the run promoted a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--registry", default=IMAGES[0].rpartition("/")[0], help="registry and path of the images")
    registry = parser.parse_args().registry
    console = Console(file=sys.stdout)
    shutil.rmtree(HOME, ignore_errors=True)
    for folder in (HOME, HOME / "artifacts", HOME / "ledger"):
        folder.mkdir(parents=True)
        folder.chmod(0o777)  # the containers run as a user unknown to this machine
    shutil.copy(ROOT / "demo" / "weather.parquet", HOME / "weather.parquet")
    home = LocalHome(HOME)
    with mlflow_server(HOME / "mlflow") as tracking_uri:
        pipeline = _with_images(load_pipeline(ROOT / "pipelines" / "continuous_retraining.py"), registry)
        given = {
            "data_source_uri": str(HOME / "weather.parquet"),
            "data_timestamp_column": "observed_at",
            "data_target_column": "rain",
            "data_window_end": "1954-01-01",
            "data_window_days": 365,
            "model_name": "rain",
            "state_tracking_uri": tracking_uri,
            "state_ledger_uri": home.ledger_uri,
        }
        with LiveSteps(console) as steps:
            finished = run_locally(pipeline, arguments_for(pipeline, given), home, steps.show, make_launch=strict_containers)
    summary = summarise_run(finished.records, run_id=finished.run_id, model_name="rain")
    print_summary(console, summary, finished)
    _print_start_times(console, registry)
    return 0 if not finished.failure and summary.outcome == "promoted" else 1


def strict_containers(log: IO[str]) -> Launch:
    """Return a function that starts a step in a container as restricted as on a cluster, with its output written to the log."""
    folder = str(HOME.absolute())

    def launch(step: Step) -> int:
        for path in (step.folder, *step.folder.parents):
            if path == HOME:
                break
            path.chmod(0o777)  # the container runs as a user unknown to this machine
        variables = [f"--env={name}={value}" for name, value in step.environment.items()]
        command = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp:mode=1777", f"--user={USER}", "--network=host", f"--volume={folder}:{folder}"]
        log.write(f"\n=== {step.task_name}\n")
        log.flush()
        return subprocess.run([*command, *variables, step.image, *filled_in(step)], stdout=log, stderr=log, check=False).returncode

    return launch


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Start an MLflow server on the host's network and stop it afterwards.

    Raises:
        RuntimeError: The server does not respond in time.
    """
    folder.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(Path(sys.executable).parent / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--serve-artifacts", "--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log.txt").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + MLFLOW_DEADLINE_S
    while not _answers(address):
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError(f"the MLflow server at {address} does not respond; see its log at {HOME / 'mlflow' / 'log.txt'}")
        time.sleep(0.2)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):  # noqa: S310  # our own server
            return True
    except OSError:
        return False


def _with_images(pipeline: Any, registry: str) -> Any:
    """Make the pipeline's steps run in images from this registry."""
    replacements = image_replacements(image_registry=registry, digests={})
    for executor in pipeline.pipeline_spec.deployment_spec["executors"].values():
        executor["container"]["image"] = replacements[executor["container"]["image"]]
    return pipeline


def _print_start_times(console: Console, registry: str) -> None:
    table = Table("step", "bare imports", "with the step's code", "ratio")
    for step, (target, bare, own) in START_TIMES.items():
        image = image_replacements(image_registry=registry, digests={})[next(image for image in IMAGES if f"-{target}:" in image)]
        # The first start reads files from disk; only the second counts, for both measurements.
        seconds = [min(container_seconds(image, code) for _ in range(2)) for code in (bare, own)]
        table.add_row(step, f"{seconds[0]:.2f} s", f"{seconds[1]:.2f} s", f"{seconds[1] / seconds[0]:.2f}")
    console.print(table)


def container_seconds(image: str, code: str) -> float:
    """Return the seconds from the start of a container to the end of the given Python code in it."""
    with tempfile.TemporaryFile() as output:
        command = ["docker", "run", "--rm", "--read-only", "--tmpfs=/tmp", f"--user={USER}", "--network=none", image, "python", "-c", code]
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=output, stderr=output)
        return time.monotonic() - started


if __name__ == "__main__":
    sys.exit(main())
