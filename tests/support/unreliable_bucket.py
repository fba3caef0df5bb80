"""A bucket's emulator behind a proxy that answers 503 for a while."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from evergreen.storage.google_cloud import open_bucket
from support.threaded_server import ThreadedServer


class Unreliable(ThreadedServer):
    """Stands before a server and answers 503 to the next requests, before or after it has let them through."""

    def __init__(self, upstream: str) -> None:
        self.refuse = 0
        self.lose_answers = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _pass(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if outer.refuse:
                    outer.refuse -= 1
                    self._reply(503, b"")
                    return
                headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "content-length", "accept-encoding")}
                request = urllib.request.Request(f"{upstream}{self.path}", data=body or None, headers=headers, method=self.command)
                try:
                    with urllib.request.urlopen(request, timeout=10) as answer:
                        status, content, kind = answer.status, answer.read(), answer.headers.get("Content-Type", "")
                except urllib.error.HTTPError as error:
                    status, content, kind = error.code, error.read(), error.headers.get("Content-Type", "")
                if outer.lose_answers and self.command == "POST":
                    outer.lose_answers -= 1
                    status, content = 503, b""
                self._reply(status, content, kind)

            do_GET = do_POST = do_PUT = _pass  # noqa: N815  # the names that http.server looks for

            def _reply(self, status: int, body: bytes, kind: str = "text/plain") -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.serve(Handler)


@pytest.fixture
def unreliable(google_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Unreliable]:
    """The session's emulator, with an empty bucket named state, as a server that can fail."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google_server)
    bucket, _ = open_bucket("gs://state")
    if bucket.exists():
        bucket.delete(force=True)
    bucket.client.create_bucket(bucket)
    proxy = Unreliable(google_server)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
    yield proxy
    proxy.stop()
