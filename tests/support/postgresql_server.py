"""A real PostgreSQL server (Debian's package) in a folder, started and stopped here."""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from support.folders import let_others_in
from support.servers import free_port


@contextlib.contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.fail("PostgreSQL is not installed; expected Debian's package postgresql. Run: make test-system")
    folder.mkdir(exist_ok=True)
    # PostgreSQL does not run as root, and its user must reach its folder.
    let_others_in(folder)
    user = pwd.getpwnam("postgres")
    data = folder / "data"
    data.mkdir()
    os.chown(data, user.pw_uid, user.pw_gid)
    run: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "cwd": "/tmp", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([programs[-1] / "initdb", "-D", data, "--auth=trust", "--no-sync", "-U", "postgres"], check=True, **run)
    port = str(free_port())
    words = ["-D", data, "-p", port, "-k", data, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]
    process = subprocess.Popen([programs[-1] / "postgres", *words], **run)
    url = f"postgresql+psycopg://postgres:hunter2@127.0.0.1:{port}/postgres"
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    engine, deadline = sa.create_engine(url), time.monotonic() + 30
    while True:
        try:
            engine.connect().close()
            break
        except sa.exc.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    engine.dispose()
