"""Profiles: exact, mergeable, and kept in files that run no code."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.drift.detection import detect, profile_dataset
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import CategoryCounts, NumberCounts
from evergreen.drift.profile.batches import TableFiles
from evergreen.drift.profile.correlation import rank_correlations
from evergreen.drift.profile.file import is_profile, read_profile, write_profile
from evergreen.drift.profile.scan import empty_like, fill, plan_profile
from evergreen.drift.profile.table_profile import RowSample
from evergreen.drift.settings import DriftSettings

PROFILE_ONLY = DriftSettings(detectors="profile")


def table(rows: int, seed: int) -> pa.Table:
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=rows)
    return pa.table(
        {
            "x": pa.array(numbers, mask=generator.random(rows) < 0.1),
            "count": generator.integers(0, 9, rows),
            "city": pa.array(generator.choice(["Berlin", "Lisbon", "Oslo"], rows)),
            "flag": generator.random(rows) < 0.3,
        }
    )


def written(folder: Path, name: str, content: pa.Table, **options: object) -> Path:
    pq.write_table(content, folder / name, **options)
    return folder / name


def test_the_profile_of_eight_shards_merged_is_the_profile_of_the_whole(tmp_path: Path) -> None:
    whole = table(80_000, 1)
    source = TableFiles(written(tmp_path, "whole", whole))
    plan = plan_profile(source)
    profiled = fill(plan_profile(source), source.batches(list(plan.columns)))
    for shard in range(8):
        part = TableFiles(written(tmp_path, f"shard-{shard}", whole.slice(shard * 10_000, 10_000)))
        plan.merge(fill(empty_like(plan, part.schema, seed=shard), part.batches(list(plan.columns))))
    assert plan.rows == profiled.rows == 80_000
    for name, counts in profiled.columns.items():
        merged = plan.columns[name]
        assert (merged.rows, merged.missing) == (counts.rows, counts.missing)
        if isinstance(counts, NumberCounts) and isinstance(merged, NumberCounts):
            assert np.array_equal(merged.counts, counts.counts)
            assert merged.mean == pytest.approx(counts.mean, abs=1e-12)
            assert merged.squares == pytest.approx(counts.squares, rel=1e-12)
            assert (merged.minimum, merged.maximum) == (counts.minimum, counts.maximum)
        else:
            assert isinstance(counts, CategoryCounts)
            assert isinstance(merged, CategoryCounts)
            assert merged.counts == counts.counts
    sample = plan.sample.state()[0]
    assert sample is not None
    assert sample.num_rows == 20_000


def test_profiles_with_other_edges_or_columns_are_not_merged(tmp_path: Path) -> None:
    one = profile_dataset(written(tmp_path, "one", table(500, 1)))
    other = profile_dataset(written(tmp_path, "other", table(500, 2)))
    with pytest.raises(DriftError, match="counted with different edges"):
        one.merge(other)
    del other.columns["x"]
    with pytest.raises(DriftError, match="column 'x' is not in both"):
        one.merge(other)


def test_a_sample_is_uniform_over_the_stream() -> None:
    sample = RowSample(seed=3, size=1000)
    for start in range(0, 50_000, 5000):
        sample.add(pa.record_batch({"row": np.arange(start, start + 5000)}), (start,))
    rows, keys = sample.state()
    assert rows is not None
    assert rows.num_rows == len(keys) == 1000
    assert np.mean(rows.column("row").to_numpy()) == pytest.approx(25_000, abs=2000)


def test_a_profile_reads_back_bit_for_bit_and_gives_the_same_result(tmp_path: Path) -> None:
    reference, current = written(tmp_path, "reference", table(5000, 1)), written(tmp_path, "current", table(3000, 2))
    compared = detect(reference, current, settings=PROFILE_ONLY)
    write_profile(compared.reference, tmp_path / "reference.profile")
    assert is_profile(tmp_path / "reference.profile")
    assert not is_profile(reference)
    restored = read_profile(tmp_path / "reference.profile")
    for name, counts in compared.reference.columns.items():
        found = restored.columns[name]
        if isinstance(counts, NumberCounts) and isinstance(found, NumberCounts):
            assert np.array_equal(found.edges, counts.edges)
            assert np.array_equal(found.counts, counts.counts)
            assert (found.mean, found.squares) == (counts.mean, counts.squares)
        else:
            assert found == counts
    again = detect(tmp_path / "reference.profile", current, settings=PROFILE_ONLY)
    assert again.result.to_json() == compared.result.to_json()


def test_stored_correlations_are_read_back_bit_for_bit_and_not_measured_again(tmp_path: Path) -> None:
    profile = profile_dataset(written(tmp_path, "reference", table(5000, 1).append_column("same", pa.array(np.full(5000, 2.5)))))
    names, measured = rank_correlations(profile)
    stored, old, known = (tmp_path / name for name in ("stored.profile", "old.profile", "known.profile"))
    write_profile(profile, stored)
    with zipfile.ZipFile(stored) as archive:
        content, sample = json.loads(archive.read("profile.json")), archive.read("sample.parquet")
    correlations = content.pop("correlations")
    with zipfile.ZipFile(old, "w") as archive:
        archive.writestr("profile.json", json.dumps(content))
        archive.writestr("sample.parquet", sample)
    with zipfile.ZipFile(known, "w") as archive:
        archive.writestr("profile.json", json.dumps({**content, "correlations": {**correlations, "matrix": np.full_like(measured, 0.25).tolist()}}))
        archive.writestr("sample.parquet", sample)
    for file in (stored, old):
        assert rank_correlations(read_profile(file))[0] == names
        assert np.array_equal(rank_correlations(read_profile(file))[1], measured, equal_nan=True)
    assert np.isnan(measured[names.index("same")]).all()
    # What the file says is believed, until the sample or the columns are no longer those of the file.
    assert (rank_correlations(read_profile(known))[1] == 0.25).all()
    fewer, merged = read_profile(known), read_profile(known)
    del fewer.columns["x"]
    merged.merge(read_profile(known))
    for changed in (fewer, merged):
        assert not (rank_correlations(changed)[1] == 0.25).all()


def test_a_dataset_without_a_column_to_compare_has_a_profile_too(tmp_path: Path) -> None:
    profile = profile_dataset(written(tmp_path, "dates", pa.table({"day": pa.array([date(2024, 1, day) for day in range(1, 31)])})))
    write_profile(profile, tmp_path / "dates.profile")
    restored = read_profile(tmp_path / "dates.profile")
    assert (restored.rows, restored.columns, restored.sample.rows, list(restored.left_out)) == (30, {}, 0, ["day"])


def test_a_sample_that_cannot_be_read_is_named_when_it_is_asked_for(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.profile", tmp_path / "bad.profile"
    write_profile(profile_dataset(written(tmp_path, "current", table(300, 2))), good)
    with zipfile.ZipFile(good) as archive, zipfile.ZipFile(bad, "w") as changed:
        changed.writestr("profile.json", archive.read("profile.json"))
        sample = bytearray(archive.read("sample.parquet"))
        sample[4:400] = bytes(396)
        changed.writestr("sample.parquet", bytes(sample))
    with pytest.raises(DriftError, match=r"bad\.profile: is damaged or truncated"):
        read_profile(bad).sample.state()


def test_profiles_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    current = written(tmp_path, "current", table(300, 2))
    good = tmp_path / "good.profile"
    write_profile(profile_dataset(current), good)
    cut = tmp_path / "cut.profile"
    cut.write_bytes(good.read_bytes()[:-200])
    with pytest.raises(DriftError, match=r"cut\.profile: is damaged or truncated"):
        detect(cut, current, settings=PROFILE_ONLY)
    for name, change, message in (
        ("newer", {"version": 99}, r"has version 99, but this Evergreen reads version 1\. Upgrade"),
        ("foreign", {"format": "other"}, "is not a drift profile"),
        ("broken", {"columns": {"x": {"kind": "number"}}}, "is damaged or truncated"),
        ("crooked", {"correlations": {"columns": ["x", "count"], "matrix": [[1.0, 0.5]]}}, "is damaged or truncated"),
    ):
        file = tmp_path / name
        with zipfile.ZipFile(good) as archive, zipfile.ZipFile(file, "w") as changed:
            changed.writestr("profile.json", json.dumps({**json.loads(archive.read("profile.json")), **change}))
        with pytest.raises(DriftError, match=message):
            read_profile(file)


def test_the_layout_of_files_does_not_matter(tmp_path: Path) -> None:
    whole = table(3000, 1)
    folder = tmp_path / "folder"
    folder.mkdir()
    pq.write_table(whole.slice(0, 1000).select(["flag", "x", "city", "count"]), folder / "a.parquet", row_group_size=70)
    pq.write_table(whole.slice(1000), folder / "b.parquet")
    one = detect(written(tmp_path, "whole", whole), folder, settings=PROFILE_ONLY).result
    assert one.verdict == "no drift"
    assert one.rows == {"reference": 3000, "current": 3000}
    assert all(feature.measured.effects["jensen_shannon_distance"] == 0 for feature in one.features)


def test_row_groups_of_mixed_types_are_one_column_of_numbers(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    pq.write_table(pa.table({"x": pa.array(range(100), pa.int32())}), folder / "a.parquet")
    pq.write_table(pa.table({"x": np.arange(100) + 0.5}), folder / "b.parquet")
    counts = profile_dataset(folder).columns["x"]
    assert isinstance(counts, NumberCounts)
    assert (counts.rows, counts.minimum, counts.maximum) == (200, 0.0, 99.5)


def test_booleans_decimals_dates_and_nested_columns_have_a_defined_answer(tmp_path: Path) -> None:
    content = pa.table(
        {
            "flag": [True, False] * 50,
            "price": [Decimal("1.50")] * 100,
            "day": [date(2024, 1, 1)] * 100,
            "tags": [["a"]] * 100,
            "nothing": pa.nulls(100),
        }
    )
    profile = profile_dataset(written(tmp_path, "mixed", content))
    assert list(profile.columns) == ["flag", "price", "nothing"]
    assert profile.columns["flag"] == CategoryCounts({"true": 50, "false": 50}, rows=100)
    assert sorted(profile.left_out) == ["day", "tags"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
def test_texts_of_any_arrow_type_are_counted_and_sampled(tmp_path: Path, kind: pa.DataType) -> None:
    city = pa.array(["Oslo", "Berlin", None] * 10_000)
    file = written(tmp_path, "texts", pa.table({"city": city.cast(kind)}))
    assert detect(file, file, settings=PROFILE_ONLY).result.verdict == "no drift"
    counts = profile_dataset(file).columns["city"]
    assert counts == CategoryCounts({"Oslo": 10_000, "Berlin": 10_000}, rows=30_000, missing=10_000)


def test_a_hundred_thousand_distinct_texts_are_left_out_and_counted_honestly(tmp_path: Path) -> None:
    content = pa.table({"key": [f"k{number}" for number in range(100_000)], "x": np.arange(100_000.0)})
    file = written(tmp_path, "keys", content)
    compared = detect(file, file, settings=PROFILE_ONLY)
    assert "distinct values in the reference, more than 100" in compared.result.left_out["key"]
    counts = profile_dataset(file).columns["key"]
    assert isinstance(counts, CategoryCounts)
    assert len(counts.counts) + counts.remainder == 100_000


def test_a_folder_whose_files_lack_a_column_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    pq.write_table(table(300, 1), folder / "a.parquet")
    pq.write_table(table(300, 2).drop_columns(["x"]), folder / "b.parquet")
    with pytest.raises(DriftError, match=r"b\.parquet: reading it failed: .*x"):
        profile_dataset(folder)


def test_a_csv_with_a_header_and_no_rows_is_insufficient(tmp_path: Path) -> None:
    (tmp_path / "header.csv").write_text("x,city\n")
    (tmp_path / "rows.csv").write_text("x,city\n" + "1.5,Oslo\n2.5,Berlin\n" * 50)
    assert detect(tmp_path / "header.csv", tmp_path / "rows.csv", settings=PROFILE_ONLY).result.verdict == "insufficient"
    assert detect(tmp_path / "rows.csv", tmp_path / "rows.csv", settings=PROFILE_ONLY).result.verdict == "no drift"


def test_shards_with_more_categories_than_are_kept_merge_to_the_whole() -> None:
    random = np.random.default_rng(1)
    names = np.array([f"name-{number}" for number in random.integers(0, 15_000, 60_000)])

    def counted(rows: np.ndarray) -> CategoryCounts:
        counts = CategoryCounts()
        for chunk in np.array_split(rows, 6):
            distinct, numbers = np.unique(chunk, return_counts=True)
            counts.add(distinct.tolist(), numbers, nulls=0)
        return counts

    whole, merged, last = counted(names), counted(names[:40_000]), counted(names[40_000:])
    merged.merge(last)
    assert whole.remainder > 0
    assert merged == whole


def test_empty_files_and_single_rows_are_insufficient_and_damaged_ones_are_named(tmp_path: Path) -> None:
    full = written(tmp_path, "full", table(300, 1))
    for name, rows in (("none", 0), ("one", 1)):
        assert detect(full, written(tmp_path, name, table(300, 2).slice(0, rows)), settings=PROFILE_ONLY).result.verdict == "insufficient"
    (tmp_path / "empty.csv").write_bytes(b"")
    (tmp_path / "cut").write_bytes(full.read_bytes()[:-50])
    for name, message in (("empty.csv", r"empty\.csv: is empty"), ("cut", "is neither Parquet nor CSV, or is damaged"), ("absent", "no such file")):
        with pytest.raises(DriftError, match=message):
            detect(full, tmp_path / name, settings=PROFILE_ONLY)


@pytest.mark.parametrize(("columns", "more"), [(["x", "count", "city", "flag"], ()), (["x", "count", "city"], ("pyarrow.compute",))])
def test_the_first_stage_loads_no_heavy_library(tmp_path: Path, columns: list[str], more: tuple[str, ...]) -> None:
    file, profile = written(tmp_path, "file", table(500, 1).select(columns)), tmp_path / "reference.profile"
    write_profile(profile_dataset(file), profile)
    heavy = ("pandas", "scipy", "sklearn", "alibi_detect", "kfp", "matplotlib", "pydantic", "annotated_types", "yaml", "rich", "pyarrow.csv", *more)
    code = (
        f"import sys; sys.argv = ['evergreen', 'drift', {str(profile)!r}, {str(file)!r}, '--detectors', 'profile', '--json']\n"
        "from evergreen.cli.main import main\n"
        "try: main()\n"
        f"except SystemExit as end: print(end.code, [name for name in {heavy} if name in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.splitlines()
    assert json.loads(printed[0])["verdict"] == "no drift"
    assert printed[1] == "0 []"
