"""A Docker engine and the Python image, where the machine has neither: Debian's engine, and a base made of Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PYTHON_IMAGE = "python:3.11-slim"
ENGINE_DEADLINE_S = 60
BASE_PACKAGES = "ca-certificates,python3,python3-pip,python3-venv"
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


@contextmanager
def docker_engine(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which ``docker`` reaches an engine that has the Python image.

    An engine that answers already is used as it is; else one is started, and stopped afterwards by its process id.
    """
    environment = dict(os.environ)
    if _answers(environment):
        _have_python_image(folder, environment)
        yield environment
        return
    if shutil.which("dockerd") is None or shutil.which("debootstrap") is None:
        pytest.fail("there is no Docker engine; expected one that answers, or Debian's packages docker.io and debootstrap. Run: make test-system")
    # Debian's builder is the older one, which needs no buildx.
    environment |= {"DOCKER_HOST": f"unix://{folder / 'docker.sock'}", "DOCKER_BUILDKIT": "0"}
    command = [
        "dockerd",
        f"--data-root={folder / 'data'}",
        f"--exec-root={folder / 'exec'}",
        f"--pidfile={folder / 'pid'}",
        f"--host={environment['DOCKER_HOST']}",
    ]
    command += ["--default-ulimit=nofile=20000:20000"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + ENGINE_DEADLINE_S
        while not _answers(environment):
            if time.monotonic() > deadline or process.poll() is not None:
                pytest.fail(f"the Docker engine does not start:\n{(folder / 'log').read_text()[-2000:]}")
            time.sleep(0.5)
        _have_python_image(folder, environment)
        yield environment
    finally:
        process.terminate()
        process.wait(timeout=60)


def _answers(environment: dict[str, str]) -> bool:
    return (
        shutil.which("docker") is not None and subprocess.run(["docker", "info"], env=environment, capture_output=True, timeout=30, check=False).returncode == 0
    )


def _have_python_image(folder: Path, environment: dict[str, str]) -> None:
    for command in (["docker", "image", "inspect", PYTHON_IMAGE], ["docker", "pull", "--quiet", PYTHON_IMAGE]):
        if subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False).returncode == 0:
            return
    root = folder / "root"
    subprocess.run(["debootstrap", "--variant=minbase", f"--include={BASE_PACKAGES}", "bookworm", str(root)], check=True, capture_output=True, timeout=600)
    (root / "usr/bin/python").symlink_to("python3")
    (root / "usr/lib/python3.11/EXTERNALLY-MANAGED").unlink(missing_ok=True)
    # A machine behind a package index of its own has its certificates here; they go into this base and into no image that is shipped.
    shutil.copy(Path("/") / CERTIFICATES, root / CERTIFICATES)
    variables = f"ENV PIP_CERT=/{CERTIFICATES} SSL_CERT_FILE=/{CERTIFICATES} PIP_ROOT_USER_ACTION=ignore"
    with subprocess.Popen(["tar", "--directory", str(root), "--create", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run(["docker", "import", "--change", variables, "-", PYTHON_IMAGE], stdin=archive.stdout, env=environment, check=True, capture_output=True)
    shutil.rmtree(root)
