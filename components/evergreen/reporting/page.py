"""One self-contained HTML page per report: inline styles, no scripts, no external resources.

All text is escaped. The page follows the reader's light or dark setting, and tables scroll inside their own box, so
that it is readable on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evergreen.data.json_values import plain
from evergreen.secrets.redaction import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

Tone = Literal["good", "bad", "neutral", "warning"]
"""Colour of a verdict."""

Cell = str | float | int | None
"""Content of a table cell."""

NO_VALUE = "\N{EN DASH}"
"""Shown when there is no number."""


@dataclass(frozen=True)
class Link:
    """A link in a table cell.

    Attributes:
        text: Displayed text.
        uri: Target of the link. Only web addresses, files and relative paths become links; others are shown as text.
    """

    text: str
    uri: str

    @property
    def is_safe(self) -> bool:
        """Whether clicking the URI cannot run a script."""
        scheme, colon, _ = self.uri.partition(":")
        return not colon or "/" in scheme or scheme.lower() in ("http", "https", "file")


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        columns: Column headings.
        rows: The cells, row by row; each row is as long as ``columns``. Numbers are displayed with four significant digits.
        note: A line below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | Link]]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A section of a report: text, then a figure, then a table; each is optional.

    Attributes:
        heading: Heading of the section.
        paragraphs: Plain text, one entry per paragraph.
        table: A table.
        figure_svg: An inline ``<svg>`` element from :mod:`evergreen.reporting.figures`, inserted into the page unchanged.
        preformatted: Text whose line breaks are preserved, such as an error message.
        bullets: Short statements, shown as a list below the paragraphs.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    figure_svg: str | None = None
    preformatted: str = ""
    bullets: Sequence[str] = ()


def render_page(title: str, verdict: str, tone: Tone, sections: Sequence[Section]) -> str:
    """Render a complete HTML page.

    Args:
        title: Title of the report.
        verdict: The result in one sentence, shown at the top.
        tone: Colour of the verdict: ``good``, ``bad``, ``neutral`` or ``warning``.
        sections: The sections, in order.

    Returns:
        The self-contained HTML of the page, with secret values replaced by the names of their variables.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("evergreen.reporting", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = format_cell
    template = environment.get_template("page.html.j2")
    # Mask secrets here, because every report passes through here.
    return mask(template.render(title=title, verdict=verdict, tone=tone, sections=[_prepared(section) for section in sections]))


def _prepared(section: Section) -> dict[str, Any]:
    table = section.table
    return {
        "section": section,
        "table": table,
        "numeric": [_is_numeric(table, index) for index in range(len(table.columns))] if table else [],
    }


def _is_numeric(table: Table, index: int) -> bool:
    values = [value for row in table.rows if (value := plain(row[index])) is not None]
    return bool(values) and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def format_cell(value: Cell | Link) -> str:
    """Format the text of a table cell.

    Args:
        value: Text, a number, or None.

    Returns:
        Text unchanged; integers with thousands separators; other numbers as formatted by :func:`format_number`.
    """
    if isinstance(value, Link):
        return value.text
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value)


def format_number(value: float | None, digits: int = 4) -> str:
    """Format a number for display.

    Args:
        value: The number; None and non-finite numbers mean "no value".
        digits: Significant digits of non-integers.

    Returns:
        Text such as ``12,345``, ``0.7812`` or ``-3.1e-07``, or a dash if there is no value.
    """
    number = plain(value)
    if number is None:
        return NO_VALUE
    if isinstance(number, int):
        return f"{number:,}"
    size = abs(number)
    if size != 0 and (size < 1e-4 or size >= 1e9):
        return f"{number:.{digits - 1}g}"
    if size >= 10**digits:
        return f"{number:,.0f}"
    return f"{number:.{digits}g}"
