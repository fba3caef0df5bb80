"""Which reference rows are compared: those of the same season where the reference covers more than a year."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.drift.detection import detect, profile_dataset
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.file import read_profile, write_profile
from evergreen.drift.report import drift_page
from evergreen.drift.settings import DriftSettings
from support.commands import evergreen

if TYPE_CHECKING:
    from pathlib import Path

    from evergreen.drift.detection import DriftComparison


def seasonal(start: str, end: str, *, seed: int = 1, freq: str = "6h", shift: float = 0.0, zone: str | None = "UTC") -> pd.DataFrame:
    """Return rows whose feature x follows the season, and whose feature z does not."""
    generator = np.random.default_rng(seed)
    times = pd.date_range(start, end, freq=freq, inclusive="left", tz=zone)
    wave = np.cos(2 * np.pi * times.dayofyear.to_numpy() / 365.25)
    return pd.DataFrame({"t": times, "y": 0, "x": wave + generator.normal(shift, 0.5, len(times)), "z": generator.normal(0, 1, len(times))})


THREE_YEARS = seasonal("2018-01-01", "2021-01-01")


def compare(folder: Path, reference: pd.DataFrame, current: pd.DataFrame, **settings: Any) -> DriftComparison:
    reference.to_parquet(folder / "reference")
    current.to_parquet(folder / "current")
    config = DriftSettings(**{"detectors": "profile", **settings})
    return detect(folder / "reference", folder / "current", ignored_columns=["y"], timestamp_column="t", settings=config)


def test_a_winter_is_no_drift_by_default_and_the_page_says_which_rows_were_compared(tmp_path: Path) -> None:
    winter = seasonal("2021-01-05", "2021-02-05", seed=2)
    compared = compare(tmp_path, THREE_YEARS, winter)
    assert compared.result.verdict == "no drift"
    # From 29 December to 11 February: three times 42 days of January and February, and three days of December at the end of each year.
    assert compared.result.compared_with == "the same season of 2018-2020: 541 of 4,384 reference rows"
    assert compared.result.rows == {"reference": 541, "current": 124}
    assert compared.result.to_json()["compared_with"] == compared.result.compared_with
    page = drift_page(compared.result, DriftSettings(), compared)
    assert "Compared 124 current rows with the same season of 2018-2020: 541 of 4,384 reference rows." in page
    off = compare(tmp_path, THREE_YEARS, winter, reference_season="none")
    assert (off.result.verdict, off.result.features[0].measured.name) == ("drift", "x")
    assert off.result.compared_with == "all 4,384 reference rows"


def test_a_shift_within_the_season_is_found_although_the_whole_year_hides_it(tmp_path: Path) -> None:
    # A warm April lies in the middle of the year's values, so only other Aprils show that it is too warm.
    april = seasonal("2021-04-10", "2021-05-10", seed=2, shift=0.4)
    compared = compare(tmp_path, THREE_YEARS, april)
    assert (compared.result.verdict, compared.result.drifted[0].measured.name) == ("drift", "x")
    assert compared.result.drifted[0].measured.effects["standardised_mean_difference"] == pytest.approx(0.74, abs=0.15)
    whole = compare(tmp_path, THREE_YEARS, april, reference_season="none")
    (found,) = [feature for feature in whole.result.features if feature.measured.name == "x"]
    assert abs(found.measured.effects["standardised_mean_difference"] or 0.0) < 0.2


@pytest.mark.parametrize("start", ["2021-01-01", "2021-04-15", "2021-07-01", "2021-10-10", "2020-12-17"])
@pytest.mark.parametrize("shift", [0.4, -0.4])
def test_every_season_keeps_its_power_and_its_quiet(tmp_path: Path, start: str, shift: float) -> None:
    end = str(pd.Timestamp(start) + pd.Timedelta(days=30))
    reference = seasonal("2017-12-17", "2020-12-17", seed=5, freq="1h")
    moved = compare(tmp_path, reference, seasonal(start, end, seed=6, freq="1h", shift=shift)).result
    assert [feature.measured.name for feature in moved.drifted] == ["x"]
    assert compare(tmp_path, reference, seasonal(start, end, seed=7, freq="1h")).result.verdict == "no drift"


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2020-12-20", "2021-01-19", "the same season of 2017-2020"),
        ("2024-02-15", "2024-03-16", "the same season of 2017-2020"),
        ("2031-02-25", "2031-03-01", "the same season of 2017-2020"),
        ("2021-02-01", "2021-08-01", "the same season of 2017-2020"),
        ("2021-01-01", "2022-01-01", "all 1,461 reference rows, because the current data covers most of a year"),
    ],
    ids=["across New Year", "leap day", "years later", "half a year", "a year"],
)
def test_the_season_is_that_of_the_window(tmp_path: Path, start: str, end: str, words: str) -> None:
    reference = seasonal("2017-01-01", "2021-01-01", freq="1D")
    compared = compare(tmp_path, reference, seasonal(start, end, seed=2, freq="1D")).result
    assert compared.compared_with.startswith(words)
    if words.startswith("all"):
        return
    # The rows on the same days of each year, a week more on each side; calendar and a year of 365.25 days differ by a day at most.
    first, days = pd.Timestamp(start, tz="UTC") - pd.Timedelta(days=7), (pd.Timestamp(end) - pd.Timestamp(start)).days + 14
    wanted = {first.replace(year=year) + pd.Timedelta(days=day) for year in range(2016, 2022) for day in range(days)}
    expected = reference["t"].isin(wanted).sum()
    assert compared.rows["reference"] == pytest.approx(expected, abs=4)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        (seasonal("2020-01-01", "2020-12-31"), "all 1,460 reference rows, which cover no more than a year"),
        (seasonal("2019-06-01", "2020-07-01"), "the same season of 2020: "),
        # Two years of summers, and no winter.
        (
            pd.concat([seasonal("2019-05-01", "2019-10-01"), seasonal("2020-05-01", "2020-10-01")]),
            "because only 0 of them are of the same season and at least 124",
        ),
        (THREE_YEARS.assign(t=range(len(THREE_YEARS))), "all 4,384 reference rows, because they have no event times"),
    ],
    ids=["a year", "more than a year", "no such season", "no times"],
)
def test_without_enough_rows_of_the_season_all_are_compared_and_it_says_so(tmp_path: Path, reference: pd.DataFrame, words: str) -> None:
    compared = compare(tmp_path, reference, seasonal("2021-01-10", "2021-02-10", seed=2)).result
    assert words in compared.compared_with
    assert compared.rows["reference"] == (len(reference) if "all" in words or "only" in words else 180)


def test_few_rows_of_the_season_are_enough_for_a_small_window_only(tmp_path: Path) -> None:
    reference = seasonal("2018-01-01", "2021-01-01", freq="1D")
    daily = compare(tmp_path, reference, seasonal("2021-05-01", "2021-05-31", seed=2, freq="1D")).result
    assert daily.compared_with == "the same season of 2018-2020: 132 of 1,096 reference rows"
    hourly = compare(tmp_path, reference, seasonal("2021-05-01", "2021-05-31", seed=2, freq="1h")).result
    assert hourly.compared_with == "all 1,096 reference rows, because only 132 of them are of the same season and at least 200 are needed"
    asked = compare(tmp_path, reference, seasonal("2021-05-01", "2021-05-31", seed=2, freq="1h"), reference_season="same-period").result
    assert asked.compared_with == daily.compared_with


def test_a_reference_larger_than_the_sample_is_read_by_season_and_counted_exactly(tmp_path: Path) -> None:
    reference = seasonal("2018-01-01", "2021-01-01", freq="15min", zone=None)
    compared = compare(tmp_path, reference, seasonal("2021-06-10", "2021-06-20", seed=2, freq="15min", zone=None)).result
    assert compared.compared_with == "the same season of 2018-2020: 6,912 of 105,216 reference rows"
    assert compared.verdict == "no drift"


def test_a_stored_profile_is_compared_by_the_season_of_its_sample(tmp_path: Path) -> None:
    reference = seasonal("2018-01-01", "2021-01-01", freq="15min")
    reference.to_parquet(tmp_path / "rows")
    write_profile(profile_dataset(tmp_path / "rows", ignored_columns=["y"], timestamp_column="t"), tmp_path / "profile")
    assert (read_profile(tmp_path / "profile").timestamp_column, read_profile(tmp_path / "profile").rows) == ("t", 105_216)
    settings = DriftSettings(detectors="profile,classifier")
    for shift, verdict in ((0.0, "no drift"), (0.5, "drift")):
        seasonal("2021-06-10", "2021-06-30", seed=2, freq="1h", shift=shift).to_parquet(tmp_path / "current")
        result = detect(tmp_path / "profile", tmp_path / "current", ignored_columns=["y"], timestamp_column="t", settings=settings).result
        assert result.verdict == verdict
        assert result.compared_with.startswith("the same season of 2018-2020: ")
        assert result.compared_with.endswith(" of 20,000 sampled reference rows")
        assert result.rows["reference"] == pytest.approx(20_000 * 34 / 365, rel=0.1)
    write_profile(profile_dataset(tmp_path / "rows", ignored_columns=["y", "t"]), tmp_path / "timeless")
    result = detect(tmp_path / "timeless", tmp_path / "current", ignored_columns=["y"], timestamp_column="t", settings=settings).result
    assert result.compared_with == "all 105,216 reference rows, because they have no event times"
    with pytest.raises(DriftError, match=r"same-period': the reference data has no time column named 't'.*set reference_season to 'none'"):
        detect(tmp_path / "timeless", tmp_path / "current", timestamp_column="t", settings=DriftSettings(reference_season="same-period"))


def test_a_saved_profile_holds_all_rows_although_one_season_was_compared(tmp_path: Path) -> None:
    THREE_YEARS.drop(columns="y").to_parquet(tmp_path / "reference")
    seasonal("2021-01-10", "2021-02-10", seed=2).drop(columns="y").to_parquet(tmp_path / "current")
    options = ["current", "--detectors", "profile", "--timestamp-column", "t"]
    first = evergreen("drift", "reference", *options, "--save-profile", "saved", folder=tmp_path)
    assert first.status == 0, first.stderr
    assert "Compared with the same season of 2018-2020: 540 of 4,384 reference rows." in first.stdout.replace("\n", " ")
    again = evergreen("drift", "saved", *options, "--json", folder=tmp_path)
    assert again.json["compared_with"] == "the same season of 2018-2020: 540 of 4,384 reference rows"
    assert read_profile(tmp_path / "saved").rows == 4384


def test_an_ordinary_category_is_no_identifier_because_the_season_is_short(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    towns = [f"town {number}" for number in range(90)]
    reference, current = seasonal("2018-01-01", "2021-01-01", freq="1D"), seasonal("2021-05-01", "2021-05-31", seed=2, freq="1D")
    for frame in (reference, current):
        frame["town"] = generator.choice(towns, len(frame))
    compared = compare(tmp_path, reference, current).result
    assert compared.rows["reference"] == 132
    assert compared.left_out == {}
