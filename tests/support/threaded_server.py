"""A server of a test's own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ThreadedServer:
    """Answers requests in threads, on a free port of this machine, until it is stopped."""

    def serve(self, handler: type[BaseHTTPRequestHandler]) -> None:
        """Start, and know the address as ``url``."""
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Take no more requests."""
        self.server.shutdown()
        self.server.server_close()
