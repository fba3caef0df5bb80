"""The table of `streams.py`: every figure beside its bar."""

from __future__ import annotations


class Table:
    """Prints each figure as it is known, and all of them again at the end."""

    def __init__(self) -> None:
        """Start without rows."""
        self._lines: list[str] = []
        self._missed = 0

    @property
    def met(self) -> bool:
        """Whether no bar is missed."""
        return not self._missed

    def row(self, what: str, figure: str, bar: str, met: bool) -> None:
        """Add a figure and its bar."""
        self._missed += not met
        self._add(what, figure, bar, "met" if met else "MISSED")

    def note(self, what: str, figure: str) -> None:
        """Add a figure without a bar."""
        self._add(what, figure, "", "")

    def close(self, seconds: float) -> None:
        """Print all rows and how long they took."""
        print()
        for line in self._lines:
            print(line)
        bars = sum(line.rstrip().endswith(("met", "MISSED")) for line in self._lines)
        print(f"\n{bars - self._missed} of {bars} bars met; {seconds / 60:.1f} minutes.")

    def _add(self, what: str, figure: str, bar: str, verdict: str) -> None:
        line = f"{what:<66} {figure:>34} {bar:>20}  {verdict}".rstrip()
        self._lines.append(line)
        print(line, flush=True)
