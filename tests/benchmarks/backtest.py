"""What the default policy does on fifty years of weather, on data that stands still, and on data that changes.

Run it with ``python tests/benchmarks/backtest.py``; some five minutes. ``--picture FILE.svg`` draws the documentation's figure,
``--part weather`` leaves out the made-up data.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.backtest.learner import LearnerSettings
from evergreen.backtest.parallel import HistorySource, replay_all
from evergreen.backtest.policies import policies_to_compare
from evergreen.backtest.replay import BacktestSettings, replay
from evergreen.backtest.report import slumps, time_figure
from evergreen.backtest.timeline import Timeline
from evergreen.backtest.tuning import tune
from evergreen.policy.policy_file import Policy

WEATHER = Path(__file__).parents[2] / "demo" / "weather.parquet"
COLUMNS = {"target_column": "label", "timestamp_column": "time"}
MADE_UP = BacktestSettings(30, 90, LearnerSettings(training_window_days=150, estimator="sklearn.linear_model.LogisticRegression"))
WINDOWS, ROWS_A_DAY, SEEDS = 40, 12, 10


def show(what: str, figure: str, bar: str, met: bool) -> bool:
    """Print a line of the table and return whether its bar is met."""
    print(f"{what:<62} {figure:>26} {bar:>30}  {'met' if met else 'MISSED'}", flush=True)
    return met


def made_up(kind: str, seed: int) -> pd.DataFrame:
    """Make rows whose label depends on two of four features; in the middle the relation changes as the kind says."""
    random = np.random.default_rng(seed)
    days = 90 + WINDOWS * 30
    rows = days * ROWS_A_DAY
    features = random.normal(size=(rows, 4))
    part = np.linspace(0, 1, rows)
    turned = {
        "stationary": 0.0 * part,
        "abrupt": (part > 0.5) * 1.0,
        "gradual": np.clip((part - 0.4) / 0.3, 0, 1),
        "recurring": (np.sin(6 * np.pi * part) < 0) * 1.0,
    }
    angle = turned[kind] * np.pi
    signal = features[:, 0] * np.cos(angle) + features[:, 1] * np.sin(angle) + 0.6 * features[:, 2]
    label = (signal + random.normal(0, 0.7, rows) > 0).astype(int)
    times = pd.date_range("2020-01-01", periods=days, freq="D", tz="UTC").repeat(ROWS_A_DAY)
    return pd.DataFrame({"time": times, **{f"x{number}": features[:, number] for number in range(4)}, "label": label})


def weather(picture: Path | None) -> bool:
    """Compare never, always and the default policy on the weather, and prove a policy tuned on its first part."""
    source = HistorySource(str(WEATHER), "rain", "observed_at")
    settings = BacktestSettings(365, 3 * 365)
    started = time.perf_counter()
    never, always, default = replay_all(source, policies_to_compare([]), settings)
    seconds = time.perf_counter() - started
    for made in (never, always, default):
        print(f"weather, {made.name}: mean {made.metric} {made.mean_metric:.4f}, {made.retrains} retrainings, {made.promotions} promotions")
    gap = default.mean_metric - always.mean_metric
    changed = [length for start, length in slumps(default) if "1980" <= start[:4] <= "1983"]
    met = [
        show("weather: default against retraining every window", f"{100 * gap:+.2f} points", "at least -0.5 points", gap >= -0.005),
        show("weather: retrainings of default", str(default.retrains), "at most 9", default.retrains <= 9),
        show("weather: windows to recover after the change around 1981", ", ".join(map(str, changed)) or "none", "at most 2", max(changed, default=0) <= 2),
        show("weather: never, always and default", f"{seconds:.0f} s", "at most 90 s", seconds <= 90),
    ]
    found = tune(source, settings, retrain_cost=0.005, until="1978-01-01")
    tuned = found.replays[-1]
    lower, upper = (made.mean_metric for made in found.replays[:2])
    share = (tuned.mean_metric - lower) / (upper - lower)
    print(f"tuned on the weather up to 1978: {found.policy.model_dump(mode='json', exclude_defaults=True)}")
    text = f"{tuned.mean_metric:.4f}, {tuned.retrains} retrainings; never {found.replays[0].mean_metric:.4f}, default {found.replays[2].mean_metric:.4f}"
    print(f"on the rest: {text}, always {found.replays[1].mean_metric:.4f}")
    met.append(
        show(
            "weather: tuned up to 1978, of what always gains on the rest",
            f"{share:.0%} with {tuned.retrains} retrainings",
            "at least 50%",
            share >= 0.5,
        )
    )
    if picture is not None:
        picture.write_text(time_figure([never, always, default]), encoding="utf-8")
    return all(met)


def generated() -> bool:
    """Show that the default policy stays quiet where nothing changes, and that it follows what does."""
    standing = [replay(Timeline(made_up("stationary", seed), **COLUMNS), Policy(), name="default", settings=MADE_UP) for seed in range(SEEDS)]
    aged = [sum(window.rule == "model_age" for window in made.windows) for made in standing]
    needless = [made.retrains - by_age for made, by_age in zip(standing, aged, strict=True)]
    met = [
        show(
            f"stationary, {WINDOWS} windows, {SEEDS} seeds: needless retrainings, age aside",
            f"{np.mean(needless):.1f} on average, {max(needless)} at most",
            "at most 1 in each",
            max(needless) <= 1,
        )
    ]
    print(f"stationary: retrainings by age {np.mean(aged):.1f} on average, {max(aged)} at most")
    for kind in ("abrupt", "gradual", "recurring"):
        timeline = Timeline(made_up(kind, 1), **COLUMNS)
        default, never, always = (replay(timeline, policy, name="p", settings=MADE_UP) for policy in (Policy(), "never", "always"))
        gain = default.mean_metric - never.mean_metric
        text = f"{100 * gain:+.1f} points, {default.retrains} retrainings"
        print(f"{kind} change: {100 * (default.mean_metric - always.mean_metric):+.1f} points against retraining every window")
        met.append(show(f"{kind} change: gain over never retraining", text, "at least 5 points", gain >= 0.05))
    return all(met)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["all", "weather", "generated"], default="all")
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    met = [weather(given.picture)] if given.part != "generated" else []
    if given.part != "weather":
        met.append(generated())
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
