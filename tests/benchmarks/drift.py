"""Drift detection: how fast beside its peers, how flat in memory, and how often right. Prints each figure beside its bar.

``python tests/benchmarks/drift.py [--rows 1000000] [--peers scipy,alibi,evidently] [--seeds 20] [--part all|speed|power]``
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from drift_power import compare_power
from drift_speed import compare_sizes, compare_speed


def main() -> int:
    """Print the table; the exit status is 0 when every bar is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peers", default="scipy,alibi,evidently")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--part", choices=["all", "speed", "power"], default="all")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "evergreen-drift-benchmark")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    met: list[bool] = []
    if given.part in ("all", "speed"):
        met += compare_speed(given.folder, rows=given.rows, peers=[peer for peer in given.peers.split(",") if peer])
        met += compare_sizes(given.folder, rows=given.rows)
    if given.part in ("all", "power"):
        met += compare_power(seeds=given.seeds)
    print(f"{sum(met)} of {len(met)} bars met")
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
