"""How often drift detection is right: false alarms on equal data, and changes that have to be found."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from drift_speed import show

from evergreen.drift.detection import detect
from evergreen.drift.profile.batches import TableFiles
from evergreen.drift.profile.scan import empty_like, fill, plan_profile
from evergreen.drift.settings import DriftSettings

NUMBERS, CATEGORIES, EMPTY = 20, 10, 15
CHANGES = {
    "+0.3 sigma": "x3",
    "sd x 1.1": "x3",
    "5 % missing": "x3",
    "a new category of 5 %": "c3",
    "0.5 % of values x 100": "x3",
    "correlation 0 -> 0.8": "",
}
FALSE_ALARMS_BAR, POWER_BAR = 0.05, 0.95


def write_rows(path: Path, rows: int, seed: int, change: str = "") -> Path:
    """Write normal numbers, categories and empty columns, one of them changed."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(rows, NUMBERS))
    codes = random.integers(0, 8, size=(rows, CATEGORIES))
    missing = np.zeros(rows, dtype=bool)
    if change == "+0.3 sigma":
        numbers[:, 3] += 0.3
    elif change == "+0.02 sigma":
        numbers[:, 3] += 0.02
    elif change == "sd x 1.1":
        numbers[:, 3] *= 1.1
    elif change == "5 % missing":
        missing = random.random(rows) < 0.05
    elif change == "a new category of 5 %":
        codes[random.random(rows) < 0.05, 3] = 8
    elif change == "0.5 % of values x 100":
        numbers[random.random(rows) < 0.005, 3] *= 100
    elif change == "correlation 0 -> 0.8":
        numbers[:, 4] = 0.8 * numbers[:, 3] + 0.6 * numbers[:, 4]
    names = np.array([f"value-{code}" for code in range(9)])
    columns: dict[str, pa.Array] = {f"x{index}": pa.array(numbers[:, index], mask=missing if index == 3 else None) for index in range(NUMBERS)}
    columns |= {f"c{index}": pa.array(names[codes[:, index]]) for index in range(CATEGORIES)}
    columns |= {f"empty{index}": pa.nulls(rows, pa.float64()) for index in range(EMPTY)}
    pq.write_table(pa.table(columns), path)
    return path


def compare_power(*, seeds: int) -> list[bool]:
    """Print false alarms and power and return whether each bar is met."""
    met = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for detectors in ("profile", "profile,classifier"):
            config = DriftSettings(detectors=detectors)
            print(f"detectors {detectors}, {seeds} seeds")
            for rows in (10_000, 100_000):
                share = np.mean([_verdict(folder, config, rows, seed)[0] for seed in range(seeds)])
                met.append(show(f"false alarms at {rows:,} rows", f"{share:.0%}", f"at most {FALSE_ALARMS_BAR:.0%}", share <= FALSE_ALARMS_BAR))
            for change, feature in CHANGES.items():
                found = [_verdict(folder, config, 10_000, seed, change) for seed in range(seeds)]
                share = np.mean([drift and (not feature or feature in features) for drift, features in found])
                met.append(show(f"{change}, found and named", f"{share:.0%}", f"at least {POWER_BAR:.0%}", share >= POWER_BAR))
        alarms = sum(_verdict(folder, DriftSettings(detectors="profile"), 1_000_000, seed, "+0.02 sigma")[0] for seed in range(3))
        met.append(show("+0.02 sigma at 1,000,000 rows, 3 seeds", f"{alarms} alarms", "never", alarms == 0))
        met.append(show("profile of 8 shards merged", *_merged(folder)))
    return met


def _verdict(folder: Path, config: DriftSettings, rows: int, seed: int, change: str = "") -> tuple[bool, list[str]]:
    reference = write_rows(folder / "reference", rows, 2 * seed)
    current = write_rows(folder / "current", rows, 2 * seed + 1, change)
    result = detect(reference, current, settings=config, seed=seed).result
    return result.verdict == "drift", [feature.measured.name for feature in result.features if feature.drift]


def _merged(folder: Path) -> tuple[str, str, bool]:
    whole = TableFiles(write_rows(folder / "whole", 80_000, 1))
    table = pq.read_table(whole.path)
    one = fill(plan_profile(whole), whole.batches(table.column_names))
    plan = plan_profile(whole)
    for shard in range(8):
        pq.write_table(table.slice(shard * 10_000, 10_000), folder / "shard")
        source = TableFiles(folder / "shard")
        plan.merge(fill(empty_like(plan, source.schema, seed=shard), source.batches(table.column_names)))
    different = sum(not np.array_equal(_counts(one.columns[name]), _counts(plan.columns[name])) for name in table.column_names)
    return f"{different} counts differ", "bit for bit", different == 0


def _counts(column: Any) -> np.ndarray:
    counts = column.counts
    values = [counts[name] for name in sorted(counts)] if isinstance(counts, dict) else list(counts)
    return np.array([*values, getattr(column, "missing", 0)])
