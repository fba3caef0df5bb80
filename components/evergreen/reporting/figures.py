"""Figures for reports, as inline SVG: identical data produces identical bytes.

Colours are the CSS variables of the page, so a figure follows the reader's light or dark setting like the text does.
matplotlib is imported when the first figure is drawn, and never through pyplot, which keeps state.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes

# Placeholder colours for matplotlib; they are replaced by the colours of the page's style.
INK, FIRST, SECOND = "#010203", "#040506", "#070809"
_CSS_COLOURS = {INK: "currentColor", FIRST: "var(--series-one, #2f6690)", SECOND: "var(--series-two, #d1722c)"}

WIDTH_IN = 6.0
"""Width of a figure in inches; the page scales it to the column."""


def interval_chart(
    names: Sequence[str], scores: Sequence[float], lower: Sequence[float], upper: Sequence[float], *, axis_label: str, threshold: float | None = None
) -> str:
    """Draw scores with their intervals, one line per name, the first at the top.

    Args:
        names: What was scored.
        scores: The scores, one per name.
        lower: Lower bounds of the intervals, in units of the score.
        upper: Upper bounds of the intervals, in units of the score.
        axis_label: Name of the score.
        threshold: Position of a dashed line; None for no line.

    Returns:
        An ``<svg>`` element.
    """

    def draw(axes: Axes) -> None:
        positions = list(range(len(names)))[::-1]
        for index, position in enumerate(positions):
            colour = FIRST if index % 2 == 0 else SECOND
            axes.plot([lower[index], upper[index]], [position, position], color=colour, linewidth=3, solid_capstyle="round")
            axes.plot([scores[index]], [position], "o", color=colour, markersize=8)
            axes.annotate(f"{scores[index]:.3f}", (scores[index], position), (0, 9), textcoords="offset points", ha="center", color=INK)
        axes.set_yticks(positions, [readable(name) for name in names])
        axes.set_ylim(-0.6, len(names) - 0.3)
        axes.set_xlabel(readable(axis_label, 60))
        if threshold is not None:
            axes.axvline(threshold, color=SECOND, linewidth=1.5, linestyle="--")

    return svg_figure(draw, height_in=0.9 + 0.6 * len(names))


def overlaid_histograms(
    edges: Sequence[float], first: Sequence[float], second: Sequence[float], *, labels: tuple[str, str], title: str, axis_label: str = ""
) -> str:
    """Draw two histograms over the same bins, each as shares of its own total.

    Args:
        edges: Edges of the bins, one more than there are counts.
        first: Count in each bin of the first histogram.
        second: Count in each bin of the second histogram.
        labels: Names of both histograms, for the legend.
        title: Title of the figure.
        axis_label: Name of the quantity.

    Returns:
        An ``<svg>`` element.
    """

    def draw(axes: Axes) -> None:
        for counts, colour, label in ((first, FIRST, labels[0]), (second, SECOND, labels[1])):
            shares = _shares(counts)
            axes.stairs(shares, list(edges), color=colour, fill=True, alpha=0.3)
            axes.stairs(shares, list(edges), color=colour, linewidth=1.8, label=readable(label))
        axes.set_title(readable(title), color=INK, loc="left", fontsize=10.5)
        axes.set_ylabel("share of rows")
        axes.set_xlabel(readable(axis_label))
        legend(axes)

    return svg_figure(draw, height_in=2.6)


def paired_bars(names: Sequence[str], first: Sequence[float], second: Sequence[float], *, labels: tuple[str, str], title: str) -> str:
    """Draw two counts per category side by side, each as a share of its own total.

    Args:
        names: The categories.
        first: First count of each category.
        second: Second count of each category.
        labels: Names of both counts, for the legend.
        title: Title of the figure.

    Returns:
        An ``<svg>`` element.
    """

    def draw(axes: Axes) -> None:
        positions = list(range(len(names)))[::-1]
        for counts, colour, label, offset in ((first, FIRST, labels[0], 0.2), (second, SECOND, labels[1], -0.2)):
            axes.barh([position + offset for position in positions], _shares(counts), height=0.38, color=colour, label=readable(label))
        axes.set_yticks(positions, [readable(name) for name in names])
        axes.set_title(readable(title), color=INK, loc="left", fontsize=10.5)
        axes.set_xlabel("share of rows")
        legend(axes)

    return svg_figure(draw, height_in=1.3 + 0.42 * len(names))


def bar_chart(names: Sequence[str], values: Sequence[float], *, axis_label: str, threshold: float | None = None) -> str:
    """Draw one horizontal bar per name, the first at the top.

    Args:
        names: Names of the bars.
        values: Lengths of the bars.
        axis_label: Meaning of the length.
        threshold: Position of a dashed line; None for no line.

    Returns:
        An ``<svg>`` element.
    """

    def draw(axes: Axes) -> None:
        positions = list(range(len(names)))[::-1]
        axes.barh(positions, list(values), height=0.6, color=FIRST)
        axes.set_yticks(positions, [readable(name) for name in names])
        axes.set_xlabel(readable(axis_label))
        if threshold is not None:
            axes.axvline(threshold, color=SECOND, linewidth=1.5, linestyle="--")

    return svg_figure(draw, height_in=0.9 + 0.32 * len(names))


def stacked(figures: Sequence[str]) -> str:
    """Return several figures as one piece of HTML, one below the other.

    The IDs in each figure get a separate prefix, because IDs must be unique within a page.
    """
    return "\n".join(_with_id_prefix(figure, f"f{number}-") for number, figure in enumerate(figures))


def legend(axes: Axes) -> None:
    """Draw a figure's legend."""
    # Above the axes, next to the title, where it hides no data.
    axes.legend(frameon=False, labelcolor=INK, loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=2, borderaxespad=0.0, handlelength=1.2, columnspacing=1.2)


def svg_figure(draw: Callable[[Axes], None], *, height_in: float) -> str:
    """Return the drawing of a function as an ``<svg>`` element in the colours and font of the page.

    Args:
        draw: Function that draws on the given axes.
        height_in: Height in inches; the width is the same for all figures.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[str, Any] = {
        "svg.hashsalt": "evergreen",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": INK,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        draw(figure.add_subplot())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _inlined(text.getvalue())


def _inlined(document: str) -> str:
    element = document[document.index("<svg") :].strip()
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.DOTALL)
    # Use the font of the surrounding text.
    element = re.sub(r"font-family: [^;\"]*", "font-family: inherit", element)
    for stand_in, colour in _CSS_COLOURS.items():
        element = element.replace(stand_in, colour)
    return element


def _with_id_prefix(element: str, prefix: str) -> str:
    element = re.sub(r'\bid="([^"]+)"', rf'id="{prefix}\1"', element)
    element = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}\1"', element)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}\1)", element)


def _shares(counts: Sequence[float]) -> list[float]:
    total = float(sum(counts)) or 1.0
    return [float(count) / total for count in counts]


def readable(name: str, limit: int = 40) -> str:
    """Return a name shortened to fit into a figure and escaped for matplotlib."""
    # A dollar sign would switch matplotlib to math mode.
    short = name if len(name) <= limit else f"{name[: limit - 1]}…"
    return short.replace("$", r"\$")
