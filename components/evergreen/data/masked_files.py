"""Masks secret values in files that a step wrote: HTML pages, Markdown, JSON and plain text."""

from __future__ import annotations

import json
from pathlib import Path

from evergreen.data.json_values import plain, to_json
from evergreen.secrets.redaction import mask, mask_json

LARGEST_FILE = 32 << 20
"""Larger files are assumed to be data, not reports."""


def mask_file(path: str | Path) -> bool:
    """Mask secret values in a text file: HTML, Markdown, JSON or plain text. JSON remains valid JSON; data and files that are not text are skipped.

    Args:
        path: The file. It may be absent, or a folder.

    Returns:
        Whether the file was changed.
    """
    file = Path(path)
    if not file.is_file() or file.stat().st_size > LARGEST_FILE:
        return False
    try:
        text = file.read_bytes().decode()
    except UnicodeDecodeError:
        return False
    if "\0" in text:
        return False
    masked = mask(text)
    try:
        content = json.loads(text)
    except ValueError:
        pass
    else:
        safe = mask_json(content)
        if safe != content:
            masked = to_json(plain(safe)).decode()
    if masked == text:
        return False
    file.write_bytes(masked.encode())
    return True
