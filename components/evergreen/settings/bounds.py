"""Bounds of a setting, as pydantic reads them, without loading a library until somebody gives settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annotated_types import BaseMetadata


@dataclass(frozen=True)
class Bounds:
    """What ``annotated_types.Interval`` is, which takes as long to load as counting fifty thousand rows.

    Attributes:
        gt: The value is greater.
        ge: The value is greater or equal.
        lt: The value is less.
        le: The value is less or equal.
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    # How pydantic knows it, by the protocol annotated_types.GroupedMetadata.
    @property
    def __is_annotated_types_grouped_metadata__(self) -> Literal[True]:
        return True

    def __iter__(self) -> Iterator[BaseMetadata]:
        """Yield each bound as pydantic knows it."""
        from annotated_types import Interval

        yield from Interval(gt=self.gt, ge=self.ge, lt=self.lt, le=self.le)
