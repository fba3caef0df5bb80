"""Values of settings as YAML on one line, for messages that a user can copy from."""

from __future__ import annotations

from typing import Any


def yaml_text(value: Any) -> str:
    """Return a plain value as YAML on one line: ``2``, ``null``, ``[a, b]``, ``{needed: 1}``."""
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"))
    # YAML ends a document that is only a scalar with three dots.
    return text.strip().removesuffix("...").strip()
