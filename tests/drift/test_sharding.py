"""A dataset profiled in parts is judged as if one step had read it all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kfp import dsl

from evergreen import merge_profiles, plan_shards, profile_shard
from evergreen.drift.detection import detect, profile_dataset
from evergreen.drift.errors import DriftError
from evergreen.drift.profile import batches
from evergreen.drift.profile.accumulators import NumberCounts
from evergreen.drift.profile.batches import Shard, TableFiles
from evergreen.drift.profile.file import read_profile, write_profile
from evergreen.drift.settings import DriftSettings
from evergreen.drift.sharding import merged, plan_for
from evergreen.drift.sharding import profile_shard as profile_part

IGNORED = ["y", "t"]


def frame(days: int, seed: int, *, start: str = "2018-01-01", shift: float = 0.0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    times = pd.date_range(start, periods=days * 24, freq="1h", tz="UTC")
    numbers = generator.normal(shift, 1, len(times))
    season = np.cos(2 * np.pi * times.dayofyear / 365.25)
    return pd.DataFrame(
        {
            "t": times,
            "y": generator.integers(0, 2, len(times)),
            "x": np.where(generator.random(len(times)) < 0.05, np.nan, numbers),
            "season": season + generator.normal(0, 0.3, len(times)),
            "city": generator.choice(["Berlin", "Lisbon", "Oslo"], len(times)),
            "empty": pd.array([None] * len(times), dtype="Float64"),
        }
    )


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PIECE_ROWS", 300)


def in_shards(reference: Path, current: Path, shards: int, folder: Path) -> Path:
    plan = plan_for(reference, ignored_columns=IGNORED, seed=7)
    write_profile(plan, folder / "plan")
    parts = []
    for number in range(shards):
        part = profile_part(current, read_profile(folder / "plan"), Shard(number, shards), ignored_columns=IGNORED, timestamp_column="t", seed=7)
        write_profile(part, folder / f"part-{number}")
        parts.append(read_profile(folder / f"part-{number}"))
    write_profile(merged(parts), folder / "whole")
    return folder / "whole"


def judged(reference: Path, current: Path, **settings: Any) -> dict[str, Any]:
    config = DriftSettings(**{"detectors": "profile,classifier", **settings})
    return detect(reference, current, settings=config, ignored_columns=["y"], timestamp_column="t").result.to_json()


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return every leaf of nested results by its path, to compare numbers with a tolerance and all else exactly."""
    if isinstance(value, dict):
        return {key: leaf for name, item in value.items() for key, leaf in flat(item, f"{path}/{name}").items()}
    if isinstance(value, list):
        return {key: leaf for number, item in enumerate(value) for key, leaf in flat(item, f"{path}/{number}").items()}
    return {path: pytest.approx(value, rel=1e-9, abs=1e-12) if isinstance(value, float) else value}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shards", [1, 3, 8])
@pytest.mark.parametrize("settings", [{}, {"reference_season": "same-period"}], ids=["all", "season"])
def test_shards_give_the_result_of_one_step(tmp_path: Path, shards: int, settings: dict[str, Any]) -> None:
    frame(700, 1).to_parquet(tmp_path / "reference", row_group_size=500)
    frame(60, 2, start="2021-01-01", shift=0.5).assign(extra=1.0).to_parquet(tmp_path / "current", row_group_size=100)
    expected = judged(tmp_path / "reference", tmp_path / "current", **settings)
    found = judged(tmp_path / "reference", in_shards(tmp_path / "reference", tmp_path / "current", shards, tmp_path), **settings)
    assert expected["rows"]["current"] == 1440
    assert expected["left_out"]["extra"] == "not in the reference, so the champion does not use it"
    assert {feature["name"]: feature["drift"] for feature in expected["features"]}["x"] is True
    assert flat(found) == flat(expected)


@pytest.mark.usefixtures("small_pieces")
def test_shards_of_a_folder_of_csv_files_and_of_a_stored_reference_give_the_result_of_one_step(tmp_path: Path) -> None:
    frame(200, 1).to_parquet(tmp_path / "rows")
    write_profile(profile_dataset(tmp_path / "rows", ignored_columns=IGNORED), tmp_path / "reference")
    (tmp_path / "current").mkdir()
    for number in range(5):
        frame(20, number).drop(columns="empty").assign(empty=1).to_csv(tmp_path / "current" / f"{number}.csv", index=False)
    expected = judged(tmp_path / "reference", tmp_path / "current")
    assert flat(judged(tmp_path / "reference", in_shards(tmp_path / "reference", tmp_path / "current", 3, tmp_path))) == flat(expected)


@pytest.mark.usefixtures("small_pieces")
def test_shards_hold_every_row_once_whatever_their_number(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table({"row": np.arange(2500)}), tmp_path / "data" / "a", row_group_size=70)
    pq.write_table(pa.table({"row": np.arange(2500, 2600)}), tmp_path / "data" / "b")
    source = TableFiles(tmp_path / "data")
    for shards in (1, 2, 7, 50):
        rows = [row for number in range(shards) for _, batch in source.batches(["row"], Shard(number, shards)) for row in batch.column(0).to_pylist()]
        assert sorted(rows) == list(range(2600))


def test_a_profile_that_another_plan_counted_is_refused(tmp_path: Path) -> None:
    frame(100, 1).to_parquet(tmp_path / "reference")
    frame(100, 2).to_parquet(tmp_path / "other")
    whole = in_shards(tmp_path / "other", tmp_path / "other", 2, tmp_path)
    with pytest.raises(
        DriftError, match=r"profile of the current data: column 'x', a number in the reference, is a number here, or was counted with different"
    ):
        judged(tmp_path / "reference", whole)
    frame(100, 1).assign(new="a").to_parquet(tmp_path / "wider")
    whole = in_shards(tmp_path / "reference", tmp_path / "reference", 2, tmp_path)
    with pytest.raises(DriftError, match=r"column 'new', a category in the reference, is missing\. Profile the current data with a plan"):
        judged(tmp_path / "wider", whole)


def test_a_current_profile_without_times_has_no_season(tmp_path: Path) -> None:
    frame(100, 1).to_parquet(tmp_path / "reference")
    whole = in_shards(tmp_path / "reference", tmp_path / "reference", 1, tmp_path)
    profile = read_profile(whole)
    profile.period = None
    write_profile(profile, whole)
    with pytest.raises(DriftError, match=r"reference_season 'same-period': the current data has no time column named 't'"):
        judged(tmp_path / "reference", whole, reference_season="same-period")


@pytest.mark.parametrize("shards", [0, -1, 1001])
def test_a_number_of_shards_that_cannot_be_is_named(tmp_path: Path, shards: int) -> None:
    with pytest.raises(DriftError, match=rf"shards {shards}: expected 1 to 1000"):
        run(plan_shards, tmp_path, reference_data=dsl.Dataset(uri=str(tmp_path / "r"), metadata={}), plan="plan", shards=shards)


def run(component: Any, folder: Path, **given: Any) -> Any:
    """Run a component; an output is given by its name."""
    outputs = {name: dsl.Artifact(name=name, uri=str(folder / value), metadata={}) for name, value in given.items() if isinstance(value, str)}
    columns = {} if component is merge_profiles else {"target_column": "y", "timestamp_column": "t"}
    return component.python_func(**{**given, **outputs, **columns}), outputs


@pytest.mark.usefixtures("small_pieces")
def test_the_components_plan_profile_and_merge(tmp_path: Path) -> None:
    frame(100, 1).to_parquet(tmp_path / "reference", row_group_size=100)
    data = dsl.Dataset(uri=str(tmp_path / "reference"), metadata={})
    numbers, planned = run(plan_shards, tmp_path, reference_data=data, plan="plan", shards=3)
    assert numbers == [0, 1, 2]
    profiled = [run(profile_shard, tmp_path, dataset=data, plan=planned["plan"], shard_profile=f"s{shard}", shard=shard, shards=3) for shard in numbers]
    assert sum(rows for rows, _ in profiled) == 2400
    assert min(rows for rows, _ in profiled) > 0
    rows, made = run(merge_profiles, tmp_path, shard_profiles=[outputs["shard_profile"] for _, outputs in profiled], profile="whole")
    assert rows == 2400
    whole, single = read_profile(made["profile"].path), profile_dataset(tmp_path / "reference", ignored_columns=IGNORED)
    for name, counts in single.columns.items():
        if isinstance(counts, NumberCounts):
            assert np.array_equal(whole.columns[name].counts, counts.counts)
    with pytest.raises(DriftError, match="shard 3: expected 0 to 2, because shards is 3"):
        run(profile_shard, tmp_path, dataset=data, plan=planned["plan"], shard_profile="s3", shard=3, shards=3)
    with pytest.raises(DriftError, match="profiles to merge: none given"):
        run(merge_profiles, tmp_path, shard_profiles=[], profile="nothing")
    assert not (tmp_path / "nothing").exists()


def test_without_a_reference_all_profiles_are_absent(tmp_path: Path) -> None:
    frame(10, 1).to_parquet(tmp_path / "data")
    absent = dsl.Dataset(uri=str(tmp_path / "absent"), metadata={"present": False})
    numbers, planned = run(plan_shards, tmp_path, reference_data=absent, plan="plan", shards=2)
    data = dsl.Dataset(uri=str(tmp_path / "data"), metadata={})
    made = [run(profile_shard, tmp_path, dataset=data, plan=planned["plan"], shard_profile=f"s{shard}", shard=shard, shards=2)[1] for shard in numbers]
    rows, whole = run(merge_profiles, tmp_path, shard_profiles=[outputs["shard_profile"] for outputs in made], profile="whole")
    assert (rows, whole["profile"].metadata["present"]) == (0, False)
