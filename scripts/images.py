"""Build Evergreen's images with a Docker engine, write a bill of materials for each, and print their sizes.

Run by ``make images`` and ``make push``. Files are written to ``.evergreen/images/``: ``NAME.cdx.json`` (CycloneDX 1.6) and, after a push,
``digests.json``, the input of ``evergreen compile --digests``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from evergreen.images import IMAGES
from evergreen.version import __version__

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / ".evergreen" / "images"
PYTHON_IMAGE = os.environ.get("PYTHON_IMAGE", "python:3.11-slim")
TARGETS = tuple(image.rpartition("/")[2].partition(":")[0].removeprefix("evergreen-") for image in IMAGES)
INVENTORY = """
import importlib.metadata, json, subprocess
packages = [["pypi", found.metadata["Name"], found.version] for found in importlib.metadata.distributions()]
listed = subprocess.run(["dpkg-query", "--show", "--showformat", "${Package} ${Version}\\n"], capture_output=True, text=True, check=True).stdout
print(json.dumps(packages + [["deb", *line.split(" ")] for line in listed.splitlines()]))
"""


def main() -> None:
    """Build or push the images."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["build", "push"])
    parser.add_argument("--registry", default=IMAGES[0].rpartition("/")[0], help="registry and path of the images")
    parser.add_argument("--target", action="append", choices=TARGETS, help="target to build or push; repeatable. Defaults to all targets")
    given = parser.parse_args()
    if shutil.which("docker") is None or subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        sys.exit("error: no Docker engine responds. Start one, or set DOCKER_HOST.")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    for target in given.target or TARGETS:
        (build if given.action == "build" else push)(target, given.registry)


def image_name(target: str, registry: str) -> str:
    """Return an image's name; its tag is the package's version, never ``latest``."""
    return f"{registry}/evergreen-{target}:{__version__}"


def build(target: str, registry: str) -> None:
    """Build an image, write its bill of materials, and print its size on top of its Python base image."""
    image = image_name(target, registry)
    started = time.monotonic()
    revision = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    arguments = [f"--build-arg={name}={value}" for name, value in (("VERSION", __version__), ("REVISION", revision), ("PYTHON_IMAGE", PYTHON_IMAGE))]
    # Use the host's network, for machines whose package index is reachable only from there.
    subprocess.run(
        ["docker", "build", "--quiet", "--network=host", "--file=components/Dockerfile", f"--target={target}", *arguments, f"--tag={image}", "."],
        cwd=ROOT,
        check=True,
    )
    megabytes = (size(image) - size(PYTHON_IMAGE)) / 1e6
    written = write_bill(image, OUTPUT / f"evergreen-{target}.cdx.json")
    print(f"{image}: {megabytes:.0f} MB above {PYTHON_IMAGE}, {written} packages, {time.monotonic() - started:.0f} s")


def size(image: str) -> int:
    """Return an image's uncompressed size in bytes."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def write_bill(image: str, path: Path) -> int:
    """Write a list of the Debian and Python packages in an image, and return their number."""
    inventory = docker("run", "--rm", "--network=none", "--read-only", "--entrypoint=python", image, "-c", INVENTORY)
    packages = {(kind, name, version) for kind, name, version in json.loads(inventory)}
    bill = Bom()
    bill.metadata.component = Component(name=image, type=ComponentType.CONTAINER, version=__version__, bom_ref=image)
    for kind, name, version in sorted(packages):
        namespace = "debian" if kind == "deb" else None
        purl = PackageURL(kind, namespace, name, version)
        bill.components.add(Component(name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=purl.to_string()))
    bill.register_dependency(bill.metadata.component, bill.components)
    path.write_text(JsonV1Dot6(bill).output_as_string(indent=2), encoding="utf-8")
    return len(packages)


def push(target: str, registry: str) -> None:
    """Push an image and add its digest to ``digests.json``."""
    image = image_name(target, registry)
    subprocess.run(["docker", "push", "--quiet", image], check=True)
    digest = docker("image", "inspect", "--format", "{{index .RepoDigests 0}}", image).rpartition("@")[2]
    path = OUTPUT / "digests.json"
    digests = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    digests[f"evergreen-{target}"] = digest
    path.write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    print(f"{image}@{digest}")


def docker(*arguments: str) -> str:
    """Run a Docker command and return its output."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout.strip()


if __name__ == "__main__":
    main()
