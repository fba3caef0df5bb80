"""What a round of chaos came to, kept until the end of the session, where it is printed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

TOLD: list[str] = []


def told(line: str) -> None:
    """Keep a line for the end."""
    TOLD.append(line)


@dataclass
class Figures:
    """What a round of chaos came to.

    Attributes:
        done: How many deployments were put through it.
        reached: How far the killed or disturbed attempts had come, and how the others ended.
        wrong: One sentence for each thing that is not as it has to be.
        seconds: Wall time.
    """

    done: int = 0
    reached: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        reached = ", ".join(f"{count} {name}" for name, count in sorted(self.reached.items()))
        return f"{self.done} in {self.seconds:.0f} s ({reached}); wrong: {len(self.wrong)}"
