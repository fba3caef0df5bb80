"""Rules that no individual row violates: the number of rows, and the age of the newest row."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

from evergreen.validation.findings import WHOLE_DATASET, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from evergreen.validation.contract import Contract
    from evergreen.validation.frame import LoadedData

FEWEST_WINDOWS = 3
"""Minimum number of earlier windows for checking the number of rows."""


def check_volume(rows: int, contract: Contract, earlier_rows: Sequence[int]) -> Iterator[Finding]:
    """Yield a finding if there are too few or too many rows.

    Args:
        rows: Number of rows.
        contract: The contract.
        earlier_rows: Row counts of earlier windows.
    """
    if rows < contract.minimum_rows:
        yield Finding(WHOLE_DATASET, f"expected at least {contract.minimum_rows:,} rows", "fail", rows, rows)
    volume = contract.row_volume
    if volume is None or len(earlier_rows) < FEWEST_WINDOWS:
        return
    usual = median(earlier_rows)
    low, high = volume.minimum_ratio * usual, volume.maximum_ratio * usual
    if not low <= rows <= high:
        share = f"{volume.minimum_ratio:g} to {volume.maximum_ratio:g} times the usual {usual:,.0f}"
        rule = f"expected between {low:,.0f} and {high:,.0f} rows ({share})"
        yield Finding(
            WHOLE_DATASET, rule, volume.severity, rows, rows, advice="Check the process that writes the source, and whether rows arrive late or twice."
        )


def check_age(data: LoadedData, contract: Contract, now: datetime) -> Iterator[Finding]:
    """Yield a finding for each time column whose newest value is too old.

    Args:
        data: The dataset.
        contract: The contract.
        now: The current time, with a time zone.
    """
    rows = len(data.frame)
    for name, rules in contract.columns.items():
        if rules.maximum_age_days is None or data.kinds.get(name) != "timestamp" or not data.frame[name].notna().any():
            continue
        newest = data.frame[name].max().to_pydatetime()
        age = now - newest
        if age > timedelta(days=rules.maximum_age_days):
            rule = f"expected a newest time at most {rules.maximum_age_days:g} days old, found {age / timedelta(days=1):,.1f} days"
            severity = rules.severity_of("freshness")
            yield Finding(name, rule, severity, rows, rows, (newest.isoformat(),), "Check that new data arrives.")
