"""One self-contained HTML page for every report: style in line, no scripts, nothing loaded from elsewhere.

All text is escaped. The page follows the reader's light or dark setting, and tables scroll inside their own box, so
that it reads on a phone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evergreen.data.json_values import plain
from evergreen.secrets.redaction import mask

if TYPE_CHECKING:
    from collections.abc import Sequence

Tone = Literal["good", "bad", "neutral", "warning"]
"""How a verdict is coloured."""

Cell = str | float | int | None
"""What may stand in a table."""

NO_VALUE = "\N{EN DASH}"
"""What is shown where there is no number."""


@dataclass(frozen=True)
class Link:
    """A link that stands in a table's cell.

    Attributes:
        text: What is shown.
        uri: Where it leads. Only web addresses, files and relative paths become links; others are shown as text.
    """

    text: str
    uri: str

    @property
    def is_safe(self) -> bool:
        """Whether the URI cannot run a script when it is clicked."""
        scheme, colon, _ = self.uri.partition(":")
        return not colon or "/" in scheme or scheme.lower() in ("http", "https", "file")


@dataclass(frozen=True)
class Table:
    """A table of a report.

    Attributes:
        columns: The heads of the columns.
        rows: The cells, row by row; each row is as long as ``columns``. Numbers are shown with four significant digits.
        note: A line below the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell | Link]]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a report: text, then a figure, then a table; each may be left out.

    Attributes:
        heading: What the section is about.
        paragraphs: Plain text, one entry for each paragraph.
        table: A table.
        figure_svg: An inline ``<svg>`` element from :mod:`evergreen.reporting.figures`. It is put into the page as it is.
        preformatted: Text whose line breaks count, such as an error's message.
        bullets: Short statements, shown as a list below the paragraphs.
    """

    heading: str
    paragraphs: Sequence[str] = ()
    table: Table | None = None
    figure_svg: str | None = None
    preformatted: str = ""
    bullets: Sequence[str] = ()


def render_page(title: str, verdict: str, tone: Tone, sections: Sequence[Section]) -> str:
    """Return a whole HTML page.

    Args:
        title: What the report is about.
        verdict: The answer, in one sentence; it stands on top.
        tone: How the verdict is coloured: ``good``, ``bad``, ``neutral`` or ``warning``.
        sections: The parts, in order.

    Returns:
        The page's HTML, complete in itself, with the names of variables in place of secret values.
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
    # Here, because every report passes here, whatever it tells of.
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
    """Return a table cell's text.

    Args:
        value: Text, a number, or None.

    Returns:
        Text unchanged; whole numbers with commas between thousands; other numbers by :func:`format_number`.
    """
    if isinstance(value, Link):
        return value.text
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value)


def format_number(value: float | None, digits: int = 4) -> str:
    """Return a number as people read it.

    Args:
        value: The number; None and numbers that are not finite stand for "no value".
        digits: Significant digits of numbers that are not whole.

    Returns:
        Text such as ``12,345``, ``0.7812``, ``-3.1e-07``, or a dash when there is no value.
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
