"""kubectl, as far as the suite needs it."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")


class KubectlError(AssertionError):
    """kubectl, or what was waited for, failed: the test that asked for it fails with this."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl in one namespace.

    Attributes:
        namespace: Where its commands look.
    """

    namespace: str

    def run(self, *arguments: str, content: bytes | None = None, timeout_s: float = 120) -> bytes:
        """Return what a command prints.

        Raises:
            KubectlError: It failed.
        """
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        finished = subprocess.run(command, input=content, capture_output=True, timeout=timeout_s, check=False)
        if finished.returncode:
            raise KubectlError(f"{' '.join(command)}: {finished.stderr.decode(errors='replace').strip()}")
        return finished.stdout

    def text(self, *arguments: str) -> str:
        """Return what a command prints, as text."""
        return self.run(*arguments).decode(errors="replace")

    def get(self, *arguments: str) -> Any:
        """Return objects as Kubernetes has them."""
        return json.loads(self.run("get", *arguments, "--output", "json"))

    def exists(self, *arguments: str) -> bool:
        """Return whether there is such an object; other errors than its absence are errors."""
        return bool(self.run("get", *arguments, "--ignore-not-found", "--output", "name").strip())

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects in this namespace."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.run("apply", "--filename", "-", content=json.dumps(listed).encode())

    def delete(self, kind: str, name: str) -> None:
        """Delete an object, if it is there, and wait until it is gone."""
        self.run("delete", kind, name, "--ignore-not-found", "--wait=true")

    def log(self, pod: str) -> str:
        """Return what a step's container has printed; nothing when the pod has no such container yet, or is gone."""
        try:
            return self.text("logs", pod, "--container", "main")
        except KubectlError:
            return ""

    def put(self, file: Path, pod: str, target: str) -> None:
        """Copy a file into a pod: whole or not at all."""
        self.run("exec", "--stdin", pod, "--", "sh", "-c", 'cat >"$0.part" && mv "$0.part" "$0"', target, content=file.read_bytes())

    def fetch(self, pod: str, folder: str, target: Path) -> Path:
        """Copy what lies in a pod's folder into a folder here, and return that one; it is empty when the pod has no such folder."""
        target.mkdir(parents=True, exist_ok=True)
        packed = target.with_suffix(".tar")
        # A run that goes on writes meanwhile: tar says so with 1, and that is fine.
        packed.write_bytes(self.run("exec", pod, "--", "sh", "-c", 'mkdir -p "$0" && { tar -cf - -C "$0" . || test $? = 1; }', folder))
        with tarfile.open(packed) as archive:
            archive.extractall(target, filter="data")
        packed.unlink()
        return target

    @contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[str]:
        """Give the address at which a port of a pod or service can be reached inside the block."""
        command = ["kubectl", "--namespace", self.namespace, "port-forward", target, f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                yield _forwarding_address(process)
            finally:
                process.terminate()


def _forwarding_address(process: subprocess.Popen[str]) -> str:
    said = []
    for line in process.stdout or ():
        said.append(line)
        found = re.search(r"Forwarding from 127\.0\.0\.1:(\d+)", line)
        if found:
            return f"http://127.0.0.1:{found[1]}"
    raise KubectlError(f"kubectl port-forward ended: {''.join(said).strip()}")


def wait_for(what: str, look: Callable[[], Found | None], *, timeout_s: float, pause_s: float = 2.0) -> Found:
    """Look again and again until something is there.

    Args:
        what: For the message.
        look: Returns what is waited for, or nothing.
        timeout_s: For how long.
        pause_s: Between two looks.

    Raises:
        KubectlError: It did not come.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise KubectlError(f"{what}: waited for {timeout_s:.0f} s in vain.")
        time.sleep(pause_s)
