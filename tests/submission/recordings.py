"""What a real KFP sent, as the generated client reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import kfp_server_api as api

FOLDER = Path(__file__).parent / "recorded"


def recorded(name: str) -> Any:
    """Return a recorded answer as JSON."""
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def recorded_run(name: str) -> Any:
    """Return a recorded run as the generated client reads it."""
    return api.ApiClient().deserialize(type("Response", (), {"data": json.dumps(recorded(name))}), "V2beta1Run")


def recorded_errors() -> list[tuple[str, int, dict[str, Any]]]:
    """Return path, status and body of each recorded error."""
    found = []
    lines = (FOLDER / "errors.txt").read_text(encoding="utf-8").splitlines()
    for path, answer in zip(lines[::2], lines[1::2], strict=True):
        body, _, status = answer.rpartition(" ")
        found.append((path.removeprefix("== "), int(status), json.loads(body)))
    return found
