"""The rows of earlier windows that are kept beside the ledger for the probe: each at most once, and never a reason to fail."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from kfp import dsl

from evergreen import monitor_performance
from evergreen.errors import StateError
from evergreen.performance import recent_rows
from evergreen.performance.recent_rows import MOST_FILES_READ, RecentRows, open_recent_rows
from evergreen.storage.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

CUT = "2020-06-01T00:00:00Z"
BASELINE = {"present": True, "metric": "accuracy", "score": 0.88, "lower": 0.85, "upper": 0.91}
END = pd.Timestamp("2030-01-01", tz="UTC")


@pytest.fixture
def kept(tmp_path: Path) -> RecentRows:
    found = open_recent_rows(str(tmp_path / "state"), "rain")
    assert found is not None
    return found


def rows(start: str, days: float, *, per_day: int = 24) -> pd.DataFrame:
    """Return rows whose ``a`` is the hour since 2020, so that each can be told from the others."""
    times = pd.date_range(start, periods=int(days * per_day), freq=pd.Timedelta(days=1) / per_day, tz="UTC")
    return pd.DataFrame({"time": times, "a": (times - pd.Timestamp("2020-01-01", tz="UTC")) / pd.Timedelta(hours=1), "rain": 1, "secret": "x"})


def keep(store: RecentRows, frame: pd.DataFrame) -> int:
    return store.keep(frame, columns=["a", "rain", "time"], timestamp_column="time", seed=7)


def before(store: RecentRows, end: pd.Timestamp = END, *, columns: tuple[str, ...] = ("a", "rain", "time")) -> tuple[pd.DataFrame | None, list[str]]:
    return store.before(end, columns=columns, timestamp_column="time")


def read(store: RecentRows, end: pd.Timestamp = END) -> list[float]:
    found, problems = before(store, end)
    assert problems == []
    return [] if found is None else found["a"].tolist()


def files(store: RecentRows) -> list[str]:
    return store.store.names(f"{store.folder}/")


def test_windows_that_overlap_keep_each_row_once_and_in_order(kept: RecentRows) -> None:
    assert keep(kept, rows("2020-01-01", 10)) == 240
    assert keep(kept, rows("2020-01-06", 10)) == 120
    assert keep(kept, rows("2020-01-03", 3)) == 0
    assert read(kept) == list(range(360))
    frame, _ = before(kept)
    assert frame is not None
    assert list(frame.columns) == ["a", "rain", "time"]
    assert len(files(kept)) == 2


def test_a_run_that_is_repeated_keeps_nothing_twice_and_changes_nothing(kept: RecentRows) -> None:
    window = rows("2020-01-01", 10)
    keep(kept, window)
    once = [(name, kept.store.read(name)) for name in files(kept)]
    assert keep(kept, window) == 0
    assert keep(kept, window.sample(frac=1.0, random_state=1)) == 0
    assert [(name, kept.store.read(name)) for name in files(kept)] == once


def test_only_rows_older_than_the_window_are_read(kept: RecentRows) -> None:
    keep(kept, rows("2020-01-01", 10))
    assert read(kept, pd.Timestamp("2020-01-02", tz="UTC")) == list(range(24))
    assert read(kept, pd.Timestamp("2020-01-01", tz="UTC")) == []
    assert before(kept, pd.Timestamp("2020-01-01", tz="UTC")) == (None, [])


def test_times_below_a_microsecond_are_kept_once(kept: RecentRows) -> None:
    window = rows("2020-01-01", 1)
    window["time"] = window["time"].astype("datetime64[ns, UTC]") + pd.Timedelta(nanoseconds=7)
    assert (keep(kept, window), keep(kept, window)) == (24, 0)
    assert read(kept) == list(range(24))


@pytest.mark.parametrize("zone", ["Europe/Berlin", None])
def test_times_of_any_zone_are_the_same_rows(kept: RecentRows, zone: str | None) -> None:
    keep(kept, rows("2020-01-01", 10))
    window = rows("2020-01-06", 10)
    window["time"] = window["time"].dt.tz_convert(zone)
    assert keep(kept, window) == 120
    found, _ = before(kept)
    assert found is not None
    assert sorted(found["a"]) == list(range(360))


def test_large_windows_are_sampled(kept: RecentRows, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_rows, "MOST_ROWS_KEPT", 50)
    assert keep(kept, rows("2020-01-01", 10)) == 50
    sample = read(kept)
    assert sample == sorted(set(sample))
    assert set(sample) < set(range(240))
    # Those that were not drawn are not kept later either.
    assert keep(kept, rows("2020-01-01", 10)) == 0


def test_enough_files_are_read_and_the_newest_ones(kept: RecentRows, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, 7):
        keep(kept, rows(f"2020-01-{day:02}", 1))
    assert read(kept) == list(range(144))
    monkeypatch.setattr(recent_rows, "MOST_FILES_READ", 2)
    assert read(kept) == list(range(96, 144))
    monkeypatch.setattr(recent_rows, "MOST_FILES_READ", MOST_FILES_READ)
    monkeypatch.setattr(recent_rows, "MOST_ROWS_READ", 40)
    assert read(kept) == list(range(96, 144))


def test_two_runs_at_once_do_not_keep_a_row_twice(kept: RecentRows, monkeypatch: pytest.MonkeyPatch) -> None:
    windows = [rows("2020-01-01", 10), rows("2020-01-06", 10), rows("2020-01-01", 10)]
    # None of them sees what the others keep.
    with monkeypatch.context() as patch:
        patch.setattr(RecentRows, "_names", lambda _: [])
        with ThreadPoolExecutor(3) as pool:
            counts = list(pool.map(lambda window: keep(kept, window), windows))
    assert sorted(counts) == [0, 240, 240]
    assert read(kept) == list(range(360))


@pytest.mark.parametrize("content", [b"", b"not Parquet", b"PAR1" + b"\0" * 40 + b"PAR1", "other columns"])
def test_a_broken_file_is_named_and_the_others_are_read(kept: RecentRows, content: bytes | str) -> None:
    keep(kept, rows("2020-01-01", 2))
    keep(kept, rows("2020-01-03", 2))
    broken = files(kept)[0]
    path = Path(kept.store.uri.removeprefix("file://")) / broken
    if isinstance(content, str):
        pd.DataFrame({"other": [1]}).to_parquet(path)
    else:
        path.write_bytes(content)
    found, problems = before(kept)
    assert found is not None
    assert found["a"].tolist() == list(range(48, 96))
    assert len(problems) == 1
    assert problems[0].startswith(f"{kept.store.uri}/{broken} is not a Parquet file of rows, so the probe works without it: ")
    assert problems[0].endswith(". Delete the file.")
    assert problems[0].count("\n") == 0
    path.unlink()
    assert before(kept)[1] == []


def test_rows_kept_for_a_champion_with_other_features_are_left_out(kept: RecentRows) -> None:
    keep(kept, rows("2020-01-01", 2))
    kept.keep(rows("2020-01-03", 2).assign(b=0.5), columns=["a", "b", "rain", "time"], timestamp_column="time", seed=7)
    found, problems = before(kept, columns=("a", "b", "rain", "time"))
    assert found is not None
    assert (found["a"].tolist(), found["b"].isna().sum(), problems) == (list(range(48, 96)), 0, [])
    assert read(kept) == list(range(96))


def test_files_of_another_kind_are_left_alone(kept: RecentRows) -> None:
    kept.store.write(f"{kept.folder}/notes.parquet", b"of somebody")
    kept.store.write(f"{kept.folder}/README.md", b"of somebody")
    assert keep(kept, rows("2020-01-01", 2)) == 48
    assert read(kept) == list(range(48))


def test_models_have_folders_of_their_own(tmp_path: Path) -> None:
    one, other = (open_recent_rows(str(tmp_path), name) for name in ("rain", "rain/2"))
    assert one is not None
    assert other is not None
    keep(one, rows("2020-01-01", 1))
    assert (len(files(one)), read(other)) == (1, [])


@pytest.mark.parametrize(("ledger", "model"), [("none", "rain"), ("NONE", "rain"), ("state", "")])
def test_without_a_ledger_or_a_name_nothing_is_kept(tmp_path: Path, ledger: str, model: str) -> None:
    assert open_recent_rows(ledger if ledger != "state" else str(tmp_path), model) is None


Watch = "Callable[..., tuple[dict[str, Any], dict[str, Any]]]"


@pytest.fixture
def watch(tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> Watch:
    """Call monitor_performance on a window; returns the result and the files that are kept."""
    model = make_model("champion", make_events(days=120, seed=1), fit_end=CUT)

    def run(start: str, *, days: int = 30, ledger: str | None = None, **settings: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        make_events(start=start, days=days, seed=int(start[5:7])).to_parquet(tmp_path / "rows", index=False)
        (tmp_path / "baseline").write_text(json.dumps(BASELINE))
        outputs: dict[str, Any] = {
            "performance_result": dsl.Artifact(name="p", uri=str(tmp_path / "out" / "result"), metadata={}),
            "performance_report": dsl.HTML(name="r", uri=str(tmp_path / "page" / "report.html"), metadata={}),
            "metrics": dsl.Metrics(name="m", uri=str(tmp_path / "numbers" / "metrics"), metadata={}),
        }
        monitor_performance.python_func(
            model=model,
            baseline=dsl.Artifact(name="b", uri=str(tmp_path / "baseline"), metadata={"present": True, "model_name": "rain"}),
            current_data=dsl.Dataset(name="d", uri=str(tmp_path / "rows"), metadata={}),
            target_column="rain",
            timestamp_column="time",
            ledger_uri=ledger or str(tmp_path / "state"),
            run_id="run-1",
            **outputs,
            **settings,
        )
        found = {path.name: path.read_bytes() for path in sorted((tmp_path / "state" / "recent_rows").rglob("*.parquet"))}
        return json.loads(Path(outputs["performance_result"].path).read_text()), found

    return run


def test_each_window_adds_a_file_and_a_repeated_run_none(watch: Callable[..., Any]) -> None:
    first, one = watch("2020-06-01")
    again, same = watch("2020-06-01")
    assert (first, one) == (again, same)
    assert len(one) == 1
    _, two = watch("2020-07-01")
    assert len(two) == 2
    assert {name: two[name] for name in one} == one


def test_the_probe_learns_from_earlier_windows(watch: Callable[..., Any]) -> None:
    alone, _ = watch("2020-07-01", ledger="none")
    watch("2020-06-01")
    both, _ = watch("2020-07-01")
    longest = [max(model["rows"] for model in result["probe"]["models"]) for result in (alone, both)]
    assert [rows + result["probe"]["rows"] for rows, result in zip(longest, (alone, both), strict=True)] == [120, 240]


def test_a_broken_sample_does_not_stop_monitoring_and_is_reported(watch: Callable[..., Any], tmp_path: Path) -> None:
    watch("2020-06-01")
    (path,) = (tmp_path / "state" / "recent_rows").rglob("*.parquet")
    path.write_bytes(b"broken")
    result, kept = watch("2020-07-01")
    assert result["verdict"] == "holds"
    assert result["probe"]["verdict"] in ("better", "no better")
    assert f"{path.name} is not a Parquet file of rows, so the probe works without it" in result["probe"]["sentence"]
    assert len(kept) == 2
    assert kept[path.name] == b"broken"


@pytest.mark.parametrize("policy", ["performance: {probe: {keep_rows: false}}", "performance: {probe: {run: false}}"])
def test_where_the_policy_says_so_nothing_is_kept(watch: Callable[..., Any], policy: str) -> None:
    result, kept = watch("2020-06-01", policy_config=policy)
    assert kept == {}
    assert result["verdict"] == "holds"
    assert (result["probe"] is None) is ("run" in policy)


def test_rows_that_were_kept_before_are_read_where_none_are_kept_any_more(watch: Callable[..., Any]) -> None:
    watch("2020-06-01")
    result, kept = watch("2020-07-01", policy_config="performance: {probe: {keep_rows: false}}")
    alone, _ = watch("2020-07-01", ledger="none")
    assert len(kept) == 1
    assert max(model["rows"] for model in result["probe"]["models"]) > max(model["rows"] for model in alone["probe"]["models"])


def test_a_window_in_which_no_row_has_a_label_keeps_nothing(watch: Callable[..., Any]) -> None:
    result, kept = watch("2020-06-01", label_delay_days=60)
    assert (result["verdict"], kept) == ("cannot tell", {})


def test_a_store_that_fails_is_an_error_that_names_it(kept: RecentRows, tmp_path: Path) -> None:
    folder = tmp_path / "state" / "recent_rows"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("a file where the folder should be")
    with pytest.raises(StateError, match="recent_rows"):
        keep(kept, rows("2020-01-01", 1))
    assert isinstance(kept.store, LocalStore)
    assert folder.read_text() == "a file where the folder should be"
