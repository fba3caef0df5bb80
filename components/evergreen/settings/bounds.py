"""Bounds of a setting in the form that pydantic reads, without importing a library until settings are given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from annotated_types import BaseMetadata


@dataclass(frozen=True)
class Bounds:
    """A replacement for ``annotated_types.Interval``, whose import takes as long as counting 50,000 rows.

    Attributes:
        gt: Exclusive lower bound.
        ge: Inclusive lower bound.
        lt: Exclusive upper bound.
        le: Inclusive upper bound.
    """

    gt: float | None = None
    ge: float | None = None
    lt: float | None = None
    le: float | None = None

    # Makes pydantic recognize it, by the protocol annotated_types.GroupedMetadata.
    @property
    def __is_annotated_types_grouped_metadata__(self) -> Literal[True]:
        return True

    def __iter__(self) -> Iterator[BaseMetadata]:
        """Yield the bounds in the form that pydantic expects."""
        from annotated_types import Interval

        yield from Interval(gt=self.gt, ge=self.ge, lt=self.lt, le=self.le)
