"""What users said, counted by source."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from kfp import dsl

from evergreen import read_feedback
from evergreen.ingestion.errors import IngestionError
from evergreen.performance.errors import PerformanceError

if TYPE_CHECKING:
    from collections.abc import Callable


def said(**columns: Any) -> pd.DataFrame:
    rows = max(len(values) for values in columns.values())
    return pd.DataFrame({"time": pd.date_range("2026-01-01", periods=rows, freq="D", tz="UTC"), **columns})


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., tuple[str, dict[str, Any], Any]]:
    def run(frame: pd.DataFrame, **settings: Any) -> tuple[str, dict[str, Any], Any]:
        frame.to_csv(tmp_path / "feedback.csv", index=False)
        feedback = dsl.Artifact(name="f", uri=str(tmp_path / "out" / "feedback"), metadata={})
        corrections = dsl.Dataset(name="c", uri=str(tmp_path / "out" / "corrections"), metadata={})
        given = {"source_uri": str(tmp_path / "feedback.csv"), "ledger_uri": str(tmp_path / "ledger"), "run_id": "run-1", **settings}
        answer = read_feedback.python_func(feedback=feedback, corrections=corrections, **given)
        record = json.loads((tmp_path / "ledger/runs/run-1/read_feedback.json").read_text())
        assert record["outcome"] == answer
        return answer, json.loads(Path(feedback.path).read_text()), corrections

    return run


def test_it_counts_by_source_and_takes_out_corrections(read: Callable[..., Any]) -> None:
    frame = said(
        source=["ada", "ada", "bob", None, "bob"],
        kind=["thumbs_up", "complaint", "correction", "thumbs_down", None],
        score=[None, None, None, None, 0.5],
        key=[None, None, "k7", None, None],
        label=[None, None, "rain", None, None],
    )
    answer, found, corrections = read(frame)
    assert answer == "feedback"
    assert found["sources"] == [
        {"source": "ada", "rows": 2, "negative": 1.0},
        {"source": "bob", "rows": 2, "negative": 1.25},
        {"source": "unknown", "rows": 1, "negative": 1.0},
    ]
    assert (found["rows"], found["negative"], found["corrections"], found["window_end"]) == (5, 3.25, 1, "2026-01-06T00:00:00Z")
    corrected = pd.read_parquet(corrections.path)
    assert corrected[["key", "label", "source"]].to_numpy().tolist() == [["k7", "rain", "bob"]]
    assert corrected["time"].iloc[0] == pd.Timestamp("2026-01-03", tz="UTC")


def test_only_the_window_counts_and_silence_is_no_error(read: Callable[..., Any]) -> None:
    frame = said(source=["ada"] * 40, score=[-1.0] * 40)
    answer, found, corrections = read(frame, window_days=10)
    assert (answer, found["rows"], corrections.metadata["present"]) == ("feedback", 10, False)
    answer, found, _ = read(frame, window_end="2027-01-01T00:00:00Z", window_days=10)
    assert (answer, found["present"], found["sentence"]) == ("no feedback", False, "There was no feedback in the 10 days before 2027-01-01T00:00:00Z.")


@pytest.mark.parametrize(
    ("frame", "error", "message"),
    [
        (said(source=["a"], mood=["bad"]), PerformanceError, "feedback: expected the columns source and kind or score; found time, source, mood"),
        (said(source=["a"], kind=["angry"]), PerformanceError, "Unknown feedback kind 'angry'. Valid kinds: thumbs_up, praise, thumbs_down"),
        (said(source=["a"], score=[5]), PerformanceError, r"feedback score (np.int64\()?5\)?: expected a number from -1 \(bad\) to 1 \(good\)"),
        (said(source=["a", "b"], score=[None, 1.0]), PerformanceError, "feedback: 1 of 2 rows have no kind, score or label"),
        (said(source=["a"], score=[1]).rename(columns={"time": "when"}), IngestionError, "time"),
    ],
)
def test_what_cannot_be_counted_is_named(read: Callable[..., Any], frame: pd.DataFrame, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        read(frame)
    assert not (tmp_path / "out" / "feedback").exists()
