from __future__ import annotations

from datetime import date, datetime, timezone

import pyarrow as pa
import pytest

from evergreen.ingestion.errors import IngestionError
from evergreen.ingestion.event_time import EVENT_TIME, normalise_event_time

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
EPOCH = 1_714_564_800


@pytest.mark.parametrize(
    "values",
    [
        pa.array([NOON], pa.timestamp("ns", tz="America/New_York")),
        pa.array([NOON.replace(tzinfo=None)], pa.timestamp("s")),
        pa.array([EPOCH]),
        pa.array([EPOCH * 1000]),
        pa.array([EPOCH * 1_000_000]),
        pa.array([EPOCH * 1_000_000_000]),
        pa.array([float(EPOCH)]),
        pa.array([str(EPOCH)]),
        pa.array(["2024-05-01T12:00:00Z"]),
        pa.array(["2024-05-01 12:00"]),
        pa.array([" 2024-05-01T14:00:00.000000000+02:00"]),
        pa.array(["2024-05-01T12:00:00Z"]).dictionary_encode(),
        pa.array(["2024-05-01T12:00:00Z"], pa.large_string()),
    ],
)
def test_every_kind_of_time_becomes_the_same_instant(values: pa.Array) -> None:
    times = normalise_event_time(values, column="t", origin="f")
    assert times.type == EVENT_TIME
    assert times.to_pylist() == [NOON]


def test_dates_are_midnight_in_utc_and_nulls_stay() -> None:
    times = normalise_event_time(pa.array([date(2024, 5, 1), None]), column="t", origin="f")
    assert times.to_pylist() == [datetime(2024, 5, 1, tzinfo=timezone.utc), None]


def test_nan_is_no_time() -> None:
    assert normalise_event_time(pa.array([float(EPOCH), float("nan"), None]), column="t", origin="f").null_count == 2


def test_text_with_and_without_zone_may_be_mixed() -> None:
    times = normalise_event_time(pa.array(["2024-05-01T12:00:00", None, "2024-05-01T13:00:00+01:00"]), column="t", origin="f")
    assert times.to_pylist() == [NOON, None, NOON]


def test_a_slice_keeps_its_own_values() -> None:
    values = pa.array([0, None, EPOCH, EPOCH + 1])[1:3]
    assert normalise_event_time(values, column="t", origin="f").to_pylist() == [None, NOON]


def test_times_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(IngestionError, match="outside the years 1 to 9999"):
        normalise_event_time(pa.array([4_000_000_000_000_000], pa.timestamp("ms")), column="t", origin="f")
