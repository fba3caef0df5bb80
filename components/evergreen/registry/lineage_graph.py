"""Lineage as a small SVG graph: datasets, the training runs that used them, and the resulting versions."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from evergreen.registry.lineage import CHAMPION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.registry.lineage import VersionLineage

BOX_WIDTH, BOX_HEIGHT, GAP, ROW = 280, 56, 70, 76
TEXT_LIMIT = 34
"""Maximum number of characters in a box."""

STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#1d2733}.small{fill:#5b6875;font-size:11px}rect{fill:#fff;stroke:#8a97a5;rx:6}"
    ".champion{fill:#e6f4ea;stroke:#2e7d4f;stroke-width:2}path{fill:none;stroke:#8a97a5;stroke-width:1.5}"
)


def lineage_svg(found: Sequence[VersionLineage]) -> str:
    """Draw versions with their runs and datasets, each dataset and run only once; lines go from left to right.

    Returns:
        A complete SVG document; identical lineage gives identical bytes.
    """
    columns: tuple[dict[str, tuple[str, str, str]], ...] = ({}, {}, {})
    lines: list[tuple[tuple[int, str], tuple[int, str]]] = []
    for learned in found:
        data = learned.data_fingerprint or "unknown"
        run = learned.training_run or "unknown"
        model = f"{learned.model_name} {learned.version}"
        columns[0][data] = (learned.data_source_uri or "unknown data", f"{learned.fit_start[:10]} to {learned.fit_end[:10]}", f"fingerprint {data}")
        columns[1][run] = (f"run {run[:8]}", learned.estimator.rpartition(".")[2], f"{run}, pipeline run {learned.pipeline_run or 'unknown'}")
        number = f" ({learned.semantic_version})" if learned.semantic_version else ""
        columns[2][model] = (f"{learned.model_name}, version {learned.version}{number}", learned.status, f"challenger {learned.challenger_id}")
        lines += [((0, data), (1, run)), ((1, run), (2, model))]
    rows = max((len(column) for column in columns), default=0)
    places = {(column, name): _place(column, row) for column, boxes in enumerate(columns) for row, name in enumerate(boxes)}
    width, height = 3 * BOX_WIDTH + 2 * GAP + 40, max(rows, 1) * ROW + 30
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img"><style>{STYLE}</style>']
    parts += [_line(places[start], places[end]) for start, end in dict.fromkeys(lines)]
    parts += [_box(places[column, name], texts) for column, boxes in enumerate(columns) for name, texts in boxes.items()]
    return "\n".join([*parts, "</svg>", ""])


def _place(column: int, row: int) -> tuple[int, int]:
    return 20 + column * (BOX_WIDTH + GAP), 20 + row * ROW


def _line(start: tuple[int, int], end: tuple[int, int]) -> str:
    (left, top), (right, bottom) = (start[0] + BOX_WIDTH, start[1] + BOX_HEIGHT // 2), (end[0], end[1] + BOX_HEIGHT // 2)
    middle = (left + right) // 2
    return f'<path d="M{left},{top} C{middle},{top} {middle},{bottom} {right},{bottom}"/>'


def _box(place: tuple[int, int], texts: tuple[str, str, str]) -> str:
    (x, y), (first, second, hover) = place, texts
    kind = ' class="champion"' if second == CHAMPION else ""
    return (
        f'<g><title>{escape(f"{first}; {hover}")}</title><rect{kind} x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}"/>'
        f'<text x="{x + 12}" y="{y + 23}">{escape(_shortened(first))}</text>'
        f'<text class="small" x="{x + 12}" y="{y + 42}">{escape(_shortened(second))}</text></g>'
    )


def _shortened(text: str) -> str:
    # The end of a path or name is more informative than its beginning.
    return text if len(text) <= TEXT_LIMIT else f"…{text[1 - TEXT_LIMIT :]}"
