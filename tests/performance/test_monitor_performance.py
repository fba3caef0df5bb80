from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen import monitor_performance
from evergreen.performance.errors import PerformanceError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

CUT = "2020-06-01T00:00:00Z"
BASELINE = {"present": True, "metric": "accuracy", "score": 0.88, "lower": 0.85, "upper": 0.91}


@pytest.fixture
def watch(tmp_path: Path, make_model: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> Callable[..., tuple[str, dict[str, Any]]]:
    """Call monitor_performance on rows with a champion fitted until June; returns its answer and the result."""
    model = make_model("champion", make_events(days=120, seed=1), fit_end=CUT)

    def run(
        rows: pd.DataFrame, *, baseline: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, present: bool = True, **settings: Any
    ) -> tuple[str, dict[str, Any]]:
        model.metadata["present"] = present
        rows.to_parquet(tmp_path / "rows", index=False)
        (tmp_path / "baseline").write_text(json.dumps(baseline or BASELINE))
        outputs: dict[str, Any] = {
            "performance_result": dsl.Artifact(name="p", uri=str(tmp_path / "out" / "result"), metadata={}),
            "performance_report": dsl.HTML(name="r", uri=str(tmp_path / "page" / "report.html"), metadata={}),
            "metrics": dsl.Metrics(name="m", uri=str(tmp_path / "numbers" / "metrics"), metadata={}),
        }
        given = {"target_column": "rain", "timestamp_column": "time", "ledger_uri": str(tmp_path / "ledger"), "run_id": "run-1", **settings}
        answer = monitor_performance.python_func(
            model=model,
            baseline=dsl.Artifact(name="b", uri=str(tmp_path / "baseline"), metadata={"present": present}),
            current_data=dsl.Dataset(name="d", uri=str(tmp_path / "rows"), metadata=metadata or {}),
            **outputs,
            **given,
        )
        result = json.loads(Path(outputs["performance_result"].path).read_text())
        record = json.loads((tmp_path / "ledger" / "runs" / "run-1" / "monitor_performance.json").read_text())
        assert answer == result["verdict"] == record["outcome"]
        assert "Performance of the champion" in Path(outputs["performance_report"].path).read_text()
        shown = {"champion score now": "score", "champion score at promotion": "baseline_score", "drop since promotion": "drop"}
        assert outputs["metrics"].metadata == {name: result[field] for name, field in shown.items() if result[field] is not None}
        assert record["details"] == result
        return answer, result

    return run


def test_a_champion_that_still_does_well_holds(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    answer, result = watch(make_events(start="2020-06-01", days=30, seed=5))
    assert answer == "holds"
    assert result["rows"] == 120
    assert result["drop"] == pytest.approx(0.88 - result["score"])
    assert result["drop_lower"] < 0 < result["drop_upper"]
    assert result["sentence"].startswith("Holds: accuracy is ")


def test_a_champion_whose_world_turned_round_is_degraded(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-06-01", days=30, seed=5, flip=True)
    answer, result = watch(rows)
    assert (answer, result["score"] < 0.3, result["drop_lower"] > 0) == ("degraded", True, True)
    answer, result = watch(rows, margin=0.95)
    assert answer == "holds"
    assert "significant, but not larger than the margin of 0.95" in result["sentence"]


def test_an_uncertain_baseline_excuses_more(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-06-01", days=30, seed=5)
    assert watch(rows, baseline={**BASELINE, "score": 0.97, "lower": None, "upper": None})[0] == "degraded"
    assert watch(rows, baseline={**BASELINE, "score": 0.97, "lower": 0.77, "upper": 1.17})[0] == "holds"


def test_only_new_rows_with_settled_labels_count(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    rows = make_events(start="2020-05-22", days=40, seed=5).astype({"rain": "float64"})
    rows.loc[rows.index[-4:], "rain"] = None
    _, result = watch(rows, metadata={"window_end": "2020-07-01T00:00:00Z"}, label_delay_days=3)
    assert (result["rows_seen_by_champion"], result["rows_unlabelled"], result["rows"]) == (40, 12, 108)
    _, without_window = watch(rows)
    assert (without_window["rows_unlabelled"], without_window["rows"]) == (4, 116)


def test_too_few_rows_cannot_tell(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    answer, result = watch(make_events(start="2020-05-01", days=34))
    assert (answer, result["score"], result["rows"]) == ("cannot tell", None, 12)
    assert "Cannot tell: 12 labelled rows are newer than the champion's training data (124 seen, 0 without a settled label); at least 20" in result["sentence"]


def test_an_undefined_metric_cannot_tell(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    answer, result = watch(make_events(start="2020-06-01", days=30).assign(rain=1), baseline={**BASELINE, "metric": "roc_auc"})
    assert answer == "cannot tell"
    assert "metric 'roc_auc': not defined on these 120 rows, whose labels are: 1" in result["sentence"]


def test_rows_without_a_feature_cannot_tell(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    answer, result = watch(make_events(start="2020-06-01", days=30).drop(columns="pressure"))
    assert answer == "cannot tell"
    assert "the champion cannot be scored on these rows: model id-champion: the rows lack the features pressure" in result["sentence"]


def test_no_champion(watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    answer, result = watch(make_events(days=1), present=False)
    assert (answer, result["baseline_score"]) == ("no champion", None)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"label_delay_days": -1}, "label_delay_days -1: expected 0 or more days"),
    ({"margin": -0.1}, "margin -0.1: expected 0 or a positive number"),
    ({"margin": float("inf")}, "margin inf: expected 0 or a positive number"),
    ({"minimum_rows": 1}, "minimum_rows 1: expected at least 2"),
    ({"target_column": "snow"}, "Unknown column 'snow' in target_column. Columns of the current data: time"),
    ({"timestamp_column": "when"}, "Unknown column 'when' in timestamp_column"),
    ({"baseline": {"present": True, "metric": "accuracy", "score": None}}, "expected a metric and a score, found 'accuracy' and None"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG)
def test_wrong_settings_are_named(
    watch: Callable[..., Any], make_events: Callable[..., pd.DataFrame], settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(PerformanceError, match=message):
        watch(make_events(start="2020-06-01", days=30), **settings)
    assert not (tmp_path / "out" / "result").exists()
