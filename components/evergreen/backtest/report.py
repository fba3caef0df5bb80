"""The backtest report: scores over time, the cost in retrainings, and the figures of every policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.backtest.ending import ending
from evergreen.backtest.replayed import ALWAYS, BOUNDS, FIXED, HINDSIGHT, INFORMED, NEVER
from evergreen.policy.triggers import metric_name
from evergreen.reporting.figures import FIRST, INK, SECOND, readable, svg_figure
from evergreen.reporting.page import Section, Table, Tone, render_page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.backtest.replayed import Replay

RECOVERED_SHARE = 0.5
BEFORE_WINDOWS = 5


def backtest_page(replays: Sequence[Replay], *, title: str = "Backtest of retraining policies", notes: Sequence[str] = ()) -> str:
    """Render the comparison as an HTML page.

    Args:
        replays: Replays of never, always and the policies.
        title: Title of the page.
        notes: Sentences shown at the top.
    """
    sections = [
        Section("Policies", notes, table=_table(replays)),
        Section(
            f"{metric_name(replays[0].metric)} over time",
            ["Each mark is a retraining, filled if its challenger was promoted."],
            figure_svg=time_figure(replays),
        ),
        Section("Benefit of retrainings", ["Higher is better, further left is cheaper."], figure_svg=cost_figure(replays)),
        *[_retrainings(made) for made in _judged(replays) if made.retrains],
    ]
    return render_page(title, verdict(replays), _tone(replays), sections)


def verdict(replays: Sequence[Replay]) -> str:
    """Return the comparison, one sentence per policy, and which policies end with a degraded model."""
    always = next(made for made in replays if made.name == ALWAYS)
    said = []
    for made in _judged(replays):
        gap = (made.mean_metric or 0.0) - (always.mean_metric or 0.0)
        said.append(
            f"{made.name}: {_number(made.mean_metric)} with {made.retrains} retrainings; retraining every window: {_number(always.mean_metric)} with "
            f"{always.retrains} ({gap:+.4f})."
        )
    return " ".join([*degraded_endings(replays), *said])


def degraded_endings(replays: Sequence[Replay]) -> list[str]:
    """Return a sentence for each policy whose history ends with a degraded model; none for a bound."""
    return [f"{made.name} {found.sentence}." for made in _judged(replays) if (found := ending(made, replays)).degraded]


def hindsight_notes(replays: Sequence[Replay]) -> list[str]:
    """Return what the bounds marked with an asterisk knew; nothing if there are none."""
    said = []
    for made in replays:
        if made.name == FIXED:
            said.append(f"* {FIXED}: a training window of {made.training_window_days} days, chosen in hindsight because its mean is the highest.")
        elif made.name == INFORMED:
            said.append(f"* {INFORMED}: learns from the rows since the last change, because it was told of the changes.")
    return [*said, "No policy could know this when it decides; these are bounds."] if said else []


def shown_name(made: Replay) -> str:
    """Return the name of a policy, with an asterisk if it knew what is only known in hindsight."""
    return f"{made.name} *" if made.name in HINDSIGHT else made.name


def _judged(replays: Sequence[Replay]) -> list[Replay]:
    return [made for made in replays if made.name not in BOUNDS]


def windows_to_recover(made: Replay) -> int | None:
    """Return the length of the longest slump in windows; None if there was none."""
    return max((length for _, length in slumps(made)), default=None)


def slumps(made: Replay) -> list[tuple[str, int]]:
    """Return the start of the first window of each slump, ISO, UTC, and its length in windows.

    A slump begins when the score falls below the mean of the five preceding windows by more than twice its usual change from window to window (the
    median over the replay), and ends when half of the fall is recovered.
    """
    scores = [window.metric for window in made.scored if window.metric is not None]
    if len(scores) <= BEFORE_WINDOWS:
        return []
    usual = float(np.median(np.abs(np.diff(scores))))
    found, index = [], BEFORE_WINDOWS
    while index < len(scores):
        level = float(np.mean(scores[index - BEFORE_WINDOWS : index]))
        fall = level - scores[index]
        if fall <= 2 * usual or fall <= 0:
            index += 1
            continue
        floor = level - RECOVERED_SHARE * fall
        length = next((number for number, score in enumerate(scores[index:]) if score >= floor), len(scores) - index)
        found.append((made.scored[index].start, length))
        index += max(length, 1)
    return found


def _table(replays: Sequence[Replay]) -> Table:
    rows: list[list[str | float | int | None]] = []
    for made in replays:
        worst, slump = made.worst, windows_to_recover(made)
        worst_text = None if worst is None else f"{worst.metric:.4f} ({worst.start[:10]})"
        ends = "yes" if ending(made, replays).degraded else "no"
        rows.append([shown_name(made), _number(made.mean_metric), made.retrains, made.promotions, worst_text, slump, ends, f"{made.seconds:.1f}"])
    heading = ["Policy", f"Mean {replays[0].metric}", "Retrainings", "Promotions", "Worst window", "Longest slump (windows)", "Ends degraded"]
    return Table([*heading, "Time (s)"], rows, note=" ".join(hindsight_notes(replays)))


def _retrainings(made: Replay) -> Section:
    rows = [[window.end[:10], window.rule.replace("_", " "), "yes" if window.promoted else "no", window.reason] for window in made.windows if window.retrained]
    return Section(f"Retrainings of {made.name}", table=Table(["After", "Decided by", "Promoted", "Reason"], rows))


def time_figure(replays: Sequence[Replay]) -> str:
    """Return the scores over time as an ``<svg>`` element, with one panel per policy so that lines never overlap."""

    def draw(axes: Any) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

        spread = _spread(replays)
        for position, made in enumerate(reversed(replays)):
            base = position * 1.25
            times = np.array([np.datetime64(window.start[:19]) for window in made.scored])
            heights = np.array([base + (float(window.metric or 0.0) - spread[0]) / (spread[1] - spread[0]) for window in made.scored])
            axes.plot(times, heights, color=FIRST, linewidth=1.4)
            for window, time, height in zip(made.scored, times, heights, strict=True):
                if window.retrained and made.name not in BOUNDS:
                    axes.plot([time], [height], "o", markersize=6, markeredgecolor=SECOND, color=SECOND if window.promoted else "none")
            axes.axhline(base, color=INK, linewidth=0.4)
        axes.set_yticks([position * 1.25 + 0.5 for position in range(len(replays))], [readable(shown_name(made), 20) for made in reversed(replays)])
        # By default, the labels of two years overlap.
        locator = AutoDateLocator(minticks=3, maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.set_xlabel(f"each band spans {spread[0]:.2f} to {spread[1]:.2f} {readable(replays[0].metric)}")

    return svg_figure(draw, height_in=0.8 + 1.0 * len(replays))


def cost_figure(replays: Sequence[Replay]) -> str:
    """Return mean score against the number of retrainings as an ``<svg>`` element."""

    def draw(axes: Any) -> None:
        for made in replays:
            if made.mean_metric is None:
                continue
            axes.plot([made.retrains], [made.mean_metric], "o", markersize=8, color=FIRST if made.name in BOUNDS else SECOND)
            axes.annotate(readable(shown_name(made), 20), (made.retrains, made.mean_metric), (8, -4), textcoords="offset points", color=INK)
        axes.margins(x=0.2, y=0.15)
        axes.set_xlabel("retrainings")
        axes.set_ylabel(f"mean {readable(replays[0].metric, 30)}")

    return svg_figure(draw, height_in=3.0)


def _spread(replays: Sequence[Replay]) -> tuple[float, float]:
    scores = [window.metric for made in replays for window in made.scored if window.metric is not None]
    low, high = min(scores, default=0.0), max(scores, default=1.0)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _tone(replays: Sequence[Replay]) -> Tone:
    judged = _judged(replays)
    degraded = len(degraded_endings(replays))
    if degraded:
        return "bad" if degraded == len(judged) else "warning"
    never = next(made.mean_metric or 0.0 for made in replays if made.name == NEVER)
    return "good" if any((made.mean_metric or 0.0) >= never for made in judged) else "warning"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
