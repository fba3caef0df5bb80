"""The page and its figures."""

from __future__ import annotations

import re

import numpy as np
import pytest

from evergreen.reporting.figures import bar_chart, interval_chart, overlaid_histograms, paired_bars, stacked
from evergreen.reporting.page import Link, Section, Table, format_number, render_page


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\N{EN DASH}"),
        (float("nan"), "\N{EN DASH}"),
        (12345, "12,345"),
        (0.781234, "0.7812"),
        (0.0, "0"),
        (3.2e-12, "3.2e-12"),
        (123456.7, "123,457"),
        (np.int64(3), "3"),
    ],
)
def test_numbers_read_well(value: float | None, text: str) -> None:
    assert format_number(value) == text


def test_everything_is_escaped_and_nothing_is_loaded_from_elsewhere() -> None:
    table = Table(["<i>"], [["<script>alert(1)</script>"], [Link("click", "javascript:alert(1)")]], note="<u>")
    page = render_page("<t>", "<v>", "bad", [Section("<h>", ["<p1>"], table, preformatted="<pre1>", bullets=["<b1>"])])
    assert not re.search(r"<(i|t|v|h|u|p1|pre1|b1|script)>", page)
    assert "javascript" not in page
    assert not re.search(r"(src|href)=", page)
    assert 'name="viewport"' in page


def test_columns_of_numbers_are_aligned_right_and_empty_sections_render() -> None:
    page = render_page("t", "v", "good", [Section("empty"), Section("s", table=Table(["name", "score"], [["a", 0.5], ["b", None]]))])
    assert '<th scope="col">name</th>' in page
    assert '<td class="number">0.5</td>' in page


def draw_all() -> str:
    labels = ("reference", "current")
    return stacked(
        [
            interval_chart(["challenger $1$", "champion"], [0.78, 0.55], [0.76, 0.5], [0.8, 0.6], axis_label="accuracy"),
            overlaid_histograms([0, 1, 2], [1, 3], [2, 2], labels=labels, title="a<b"),
            paired_bars(["red", "blue"], [1, 3], [0, 0], labels=labels, title="colour"),
            bar_chart(["x"], [0.3], axis_label="distance", threshold=0.1),
        ]
    )


def test_figures_are_the_same_bytes_every_time_with_ids_of_their_own() -> None:
    first = draw_all()
    ids = re.findall(r'\bid="([^"]+)"', first)
    assert first == draw_all()
    assert len(ids) == len(set(ids))
    assert first.count("<svg") == 4
    assert "a&lt;b" in first
    assert "challenger $1$" in first
    assert "currentColor" in first
    assert all(reference[1:] in ids for reference in re.findall(r'href="(#[^"]+)"', first))
