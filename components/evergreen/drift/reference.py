"""Chooses the reference rows to compare with: those of the same season where the reference covers more than a year, otherwise all.

Seasonal features differ from a whole year's in every summer and every winter. That is no drift: the champion has learned from such seasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.profile.batches import PlacedBatch
from evergreen.drift.profile.scan import fill
from evergreen.drift.profile.season import DAY, has_season, same_period
from evergreen.drift.profile.table_profile import TIME_COLUMN, DatasetProfile, RowSample

if TYPE_CHECKING:
    from evergreen.drift.profile.batches import TableFiles
    from evergreen.drift.settings import DriftSettings

YEAR_DAYS = 365


@dataclass(frozen=True)
class ChosenReference:
    """The reference rows to compare with.

    Attributes:
        profile: Their profile.
        words: What they are, to follow "compared with".
    """

    profile: DatasetProfile
    words: str


def choose_reference(
    whole: DatasetProfile, current: DatasetProfile, source: TableFiles | None, settings: DriftSettings, *, timestamp_column: str, seed: int
) -> ChosenReference:
    """Return the reference rows of the current data's season, or all of them.

    Args:
        whole: Profile of all reference rows.
        current: Profile of the current data.
        source: The reference rows; None if only their profile is known, whose sample is then used.
        settings: Whether to compare with the same season, and how many rows are enough.
        timestamp_column: Name of the event time column.
        seed: Seed of the random sample.

    Raises:
        DriftError: The settings demand the same season, but event times are unknown.
    """
    demanded = settings.reference_season == "same-period"
    if settings.reference_season == "none":
        return _all_of(whole)
    if demanded:
        _check_times(whole, current, timestamp_column)
    if whole.period is None or current.period is None or not whole.timestamp_column:
        side = "they have" if whole.period is None or not whole.timestamp_column else "the current data has"
        return _all_of(whole, f"because {side} no event times")
    if not has_season(current.period):
        return _all_of(whole, "because the current data covers most of a year")
    if not demanded and whole.period[1] - whole.period[0] <= YEAR_DAYS * DAY:
        return _all_of(whole, "which cover no more than a year")
    season = _same_season(whole, current.period, source, seed=seed)
    needed = max(settings.minimum_rows, min(settings.minimum_rows_together, current.rows))
    if not demanded and season.rows < needed:
        return _all_of(whole, f"because only {season.rows:,} of them are of the same season and at least {needed} are needed")
    return ChosenReference(season, _season_words(season, whole))


def _all_of(whole: DatasetProfile, why: str = "") -> ChosenReference:
    return ChosenReference(whole, f"all {whole.rows:,} reference rows{', ' if why else ''}{why}")


def _check_times(whole: DatasetProfile, current: DatasetProfile, timestamp_column: str) -> None:
    for side, profile in (("current", current), ("reference", whole)):
        if profile.period is None or (profile is whole and not whole.timestamp_column):
            raise DriftError(
                f"reference_season 'same-period': the {side} data has no time column named {timestamp_column!r} that contains a time. "
                "Specify the event time column, or set reference_season to 'none'."
            )


def _same_season(whole: DatasetProfile, period: tuple[int, int], source: TableFiles | None, *, seed: int) -> DatasetProfile:
    columns: dict[str, NumberCounts | CategoryCounts] = {
        name: NumberCounts(counts.edges) if isinstance(counts, NumberCounts) else CategoryCounts() for name, counts in whole.columns.items()
    }
    season = DatasetProfile(columns, dict(whole.left_out), sample=RowSample(seed), importances=whole.importances)
    sampled = whole.sample.state()[0]
    if source is not None and whole.rows > whole.sample.rows:
        season.timestamp_column = whole.timestamp_column
        batches = source.batches([*columns, whole.timestamp_column])
        return fill(season, same_period(batches, period, whole.timestamp_column))
    # The sample is all that is known, or holds every row, as that of a champion's reference data does: reading them again is not necessary.
    season.timestamp_column = TIME_COLUMN
    rows = [] if sampled is None else sampled.combine_chunks().to_batches()
    return fill(season, same_period((PlacedBatch((0, 0, number), batch) for number, batch in enumerate(rows)), period, TIME_COLUMN))


def _season_words(season: DatasetProfile, whole: DatasetProfile) -> str:
    if season.period is None:
        return f"none of {whole.rows:,} reference rows: none is of the same season"
    first, last = (datetime.fromtimestamp(moment, tz=timezone.utc).year for moment in season.period)
    years = f"{first}" if first == last else f"{first}-{last}"
    known = whole.rows if whole.rows == whole.sample.rows or season.timestamp_column != TIME_COLUMN else whole.sample.rows
    return f"the same season of {years}: {season.rows:,} of {known:,} {'reference' if known == whole.rows else 'sampled reference'} rows"
