"""How often drift is severe on the demo's weather, compared with all reference rows and with those of the same season.

    python tests/benchmarks/seasons.py

Every window until the data's change of 1981 is compared with the three or five years before its own year, as for a champion that is renewed every New Year.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import pandas as pd

from evergreen.drift.detection import detect
from evergreen.drift.settings import DriftSettings

WEATHER = Path(__file__).resolve().parents[2] / "demo" / "weather.parquet"
CHANGED = pd.Timestamp("1981-01-01")
SEASONS = ("none", "auto")


def severities(rows: pd.DataFrame, folder: Path, *, days: int, years: int) -> dict[str, Counter[str]]:
    """Return how often each severity is found over all windows, by the setting of ``reference_season``."""
    found: dict[str, Counter[str]] = {season: Counter() for season in SEASONS}
    start, length = rows["observed_at"].min() + pd.DateOffset(years=years), pd.Timedelta(days=days)
    while start + length <= CHANGED:
        fit_end = pd.Timestamp(year=start.year, month=1, day=1)
        reference = rows[rows["observed_at"].between(fit_end - pd.DateOffset(years=years), fit_end, inclusive="left")]
        reference.to_parquet(folder / "reference")
        rows[rows["observed_at"].between(start, start + length, inclusive="left")].to_parquet(folder / "current")
        for season in SEASONS:
            settings = DriftSettings(detectors="profile", reference_season=season)
            paths = folder / "reference", folder / "current"
            result = detect(*paths, ignored_columns=["rain"], timestamp_column="observed_at", settings=settings).result
            found[season][result.severity] += 1
        start += length
    return found


def main() -> None:
    """Print the table."""
    rows = pd.read_parquet(WEATHER)
    print(f"{'window':10}{'reference':>10}{'windows':>9}{'severe, all rows':>18}{'severe, season':>16}{'no drift, all':>15}{'no drift, season':>18}")
    with tempfile.TemporaryDirectory() as folder:
        for days in (30, 90, 365):
            for years in (3, 5):
                found = severities(rows, Path(folder), days=days, years=years)
                whole, season = (found[name] for name in SEASONS)
                counts = f"{whole['severe']:>18}{season['severe']:>16}{whole['none']:>15}{season['none']:>18}"
                print(f"{f'{days} days':10}{f'{years} years':>10}{whole.total():>9}{counts}")


if __name__ == "__main__":
    main()
