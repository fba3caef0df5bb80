"""What stands between a client and a real server and makes it fail as servers and networks do: over HTTP, or any protocol over TCP."""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOP_BY_HOP = ("content-length", "transfer-encoding", "connection", "host", "keep-alive")


@dataclass
class Fault:
    """What happens to the next requests.

    Attributes:
        kind: ``answer`` (a status instead of the server's answer), ``reset`` (the connection is reset before the request is passed on) or
            ``lose`` (the request is passed on, and the connection is reset instead of its answer).
        times: To how many requests; below 0 to all.
        skip: How many of those that it fits are let through before.
        every: Lets through all but each so-many-th of those that it fits.
        methods: Only to requests of these methods.
        path: Only to requests whose path holds this.
        status: The status that is answered.
        headers: Headers of that answer.
        body: Its body.
    """

    kind: str
    times: int = 1
    skip: int = 0
    every: int = 1
    seen: int = 0
    methods: tuple[str, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")
    path: str = ""
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def takes(self, method: str, path: str) -> bool:
        return self.times != 0 and method in self.methods and self.path in path

    def strikes(self) -> bool:
        """Count a request; returns whether it is one that fails."""
        if self.skip:
            self.skip -= 1
            return False
        self.seen += 1
        if self.seen % self.every:
            return False
        self.times -= 1
        return True


class FaultyServer:
    """Passes HTTP requests on to a server, but for those that a fault is planned for."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream.removeprefix("http://")
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, float]] = []
        self._lock = threading.Lock()
        self.is_away = False
        self._address = ("127.0.0.1", 0)
        self._start()
        self.url = f"http://127.0.0.1:{self._address[1]}"

    def plan(self, kind: str, **settings: Any) -> Fault:
        """Plan a fault; returns it, so that a test can look how much of it is left."""
        fault = Fault(kind, **settings)
        self.faults.append(fault)
        return fault

    def go_away(self, seconds: float) -> None:
        """Refuse connections for a while, and reset those that are open."""
        self.is_away = True
        self._stop()
        threading.Timer(seconds, self._come_back).start()

    def close(self) -> None:
        self.is_away = True
        with contextlib.suppress(OSError):
            self._stop()

    def _come_back(self) -> None:
        self.is_away = False
        self._start()

    def _start(self) -> None:
        self._server = ThreadingHTTPServer(self._address, type("Handler", (_Handler,), {"faulty": self}))
        self._server.daemon_threads = True
        self._address = ("127.0.0.1", int(self._server.server_address[1]))
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def taken(self, method: str, path: str) -> Fault | None:
        """Note a request; returns the fault that is planned for it."""
        with self._lock:
            self.requests.append((method, path, time.monotonic()))
            fitting = [each for each in self.faults if each.takes(method, path)]
            return next((each for each in fitting if each.strikes()), None)

    def forward(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes, dict[str, str]]:
        """Ask the real server; returns status, body and headers."""
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        kept = {name: value for name, value in headers.items() if name.lower() not in (*HOP_BY_HOP, "expect")}
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body=body if body or method in ("POST", "PUT", "PATCH") else None, headers=kept)
                answer = connection.getresponse()
                content = answer.read()
            except OSError as error:
                return 502, repr(error).encode(), {}
            return answer.status, content, {name: value for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultyServer

    def _pass(self) -> None:
        if self.faulty.is_away:
            self._reset()
            return
        fault = self.faulty.taken(self.command, self.path)
        if fault is not None and fault.kind == "reset":
            self._reset()
            return
        body = self._body()
        if fault is not None and fault.kind == "answer":
            self._reply(fault.status, fault.body, fault.headers)
            return
        answer = self.faulty.forward(self.command, self.path, dict(self.headers.items()), body)
        if fault is not None:
            self._reset()
            return
        self._reply(*answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _pass  # noqa: N815  # the names that http.server looks for

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The handler's files hold the socket open.
        for each in (self.rfile, self.wfile, self.connection):
            each.close()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().handle()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def log_message(self, *_: Any) -> None:
        pass


class FaultyConnection:
    """Passes the bytes of any protocol on to a server; can cut its connections, and be away."""

    def __init__(self, host: str, port: int) -> None:
        self._upstream = (host, port)
        self._address = ("127.0.0.1", 0)
        self._open: set[socket.socket] = set()
        self.bytes_until_cut = -1
        self.accepted = 0
        self._start()
        self.port = self._address[1]

    def cut(self) -> None:
        """Reset all connections that are open."""
        for one in list(self._open):
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                one.shutdown(socket.SHUT_RDWR)

    def cut_after(self, size: int) -> None:
        """Reset the connection after so many more bytes of the server's answers."""
        self.bytes_until_cut = size

    def go_away(self, seconds: float) -> None:
        """Refuse connections for a while, and cut those that are open."""
        self._listener.close()
        self._accepting.join()
        self.cut()
        threading.Timer(seconds, self._start).start()

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _start(self) -> None:
        self._listener = socket.create_server(self._address, reuse_port=False)
        self._address = ("127.0.0.1", int(self._listener.getsockname()[1]))
        self._accepting = threading.Thread(target=self._accept, args=(self._listener,), daemon=True)
        self._accepting.start()

    def _accept(self, listener: socket.socket) -> None:
        # A blocked accept would keep the port open after its socket is closed.
        listener.settimeout(0.05)
        while True:
            try:
                client, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(self._upstream, timeout=10) as server, selectors.DefaultSelector() as selector:
            pair = {client, server}
            self._open |= pair
            client.settimeout(10)
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while True:
                    for key, _ in selector.select(1):
                        data = key.fileobj.recv(1 << 16)
                        if not data:
                            return
                        if key.fileobj is server and self.bytes_until_cut >= 0:
                            self.bytes_until_cut -= len(data)
                            if self.bytes_until_cut < 0:
                                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                                return
                        key.data.sendall(data)
            finally:
                self._open -= pair
