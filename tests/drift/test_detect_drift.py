"""What detect_drift finds, and what it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen.drift.component import detect_drift
from evergreen.drift.detection import detect
from evergreen.drift.errors import DriftError
from evergreen.drift.settings import DriftSettings

if TYPE_CHECKING:
    from evergreen.results.drift import DriftResult


def normal_frame(rows: int, seed: int, features: int = 10) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    frame = pd.DataFrame(generator.normal(size=(rows, features)), columns=[f"x{index}" for index in range(features)])
    frame["t"] = pd.date_range("2020-01-01", periods=rows, freq="h", tz="UTC")
    frame["y"] = generator.integers(0, 2, rows)
    return frame


def compare(folder: Path, reference: pd.DataFrame, current: pd.DataFrame, **settings: Any) -> DriftResult:
    reference.to_parquet(folder / "reference")
    current.to_parquet(folder / "current")
    config = DriftSettings(**{"detectors": "profile", **settings})
    return detect(folder / "reference", folder / "current", ignored_columns=["y"], timestamp_column="t", settings=config).result


def drifted(result: DriftResult) -> list[str]:
    return [feature.measured.name for feature in result.features if feature.drift]


@pytest.mark.parametrize("detectors", ["profile", "profile,classifier", "profile,alibi"])
def test_half_a_deviation_in_one_of_ten_features_is_found_and_named(tmp_path: Path, detectors: str) -> None:
    current = normal_frame(2000, 2)
    current["x3"] += 0.5
    result = compare(tmp_path, normal_frame(2000, 1), current, detectors=detectors)
    assert (result.verdict, drifted(result)) == ("drift", ["x3"])
    assert result.features[0].measured.effects["standardised_mean_difference"] == pytest.approx(0.5, abs=0.1)
    assert "x3" in result.sentence
    assert result.share_drifted == pytest.approx(0.1)


def test_twenty_stationary_pairs_raise_no_alarm(tmp_path: Path) -> None:
    verdicts = [compare(tmp_path, normal_frame(1000, 100 + seed), normal_frame(1000, 200 + seed)).verdict for seed in range(20)]
    assert verdicts == ["no drift"] * 20


def test_small_stationary_windows_alarm_about_as_seldom_as_the_significance_says(tmp_path: Path) -> None:
    # In small windows chance alone makes large effects, so significance is the only guard: one in twenty is expected.
    verdicts = [compare(tmp_path, normal_frame(1000, 100 + seed), normal_frame(100, 200 + seed)).verdict for seed in range(20)]
    assert verdicts.count("drift") <= 3


def test_a_shift_too_small_to_matter_raises_no_alarm_however_significant(tmp_path: Path) -> None:
    current = normal_frame(50_000, 2, features=3)
    current["x1"] += 0.05
    result = compare(tmp_path, normal_frame(50_000, 1, features=3), current)
    small = next(feature for feature in result.features if feature.measured.name == "x1")
    assert result.verdict == "no drift"
    assert small.corrected["p_value"] < 0.001
    assert "too small to matter" in small.reason


def test_a_fiftieth_of_a_deviation_at_fifty_thousand_rows_raises_no_alarm(tmp_path: Path) -> None:
    current = normal_frame(50_000, 2, features=3)
    current["x1"] += 0.02
    assert compare(tmp_path, normal_frame(50_000, 1, features=3), current).verdict == "no drift"


def test_missing_values_hide_no_drift_and_their_share_drifts_by_itself(tmp_path: Path) -> None:
    reference, current = normal_frame(1000, 1, features=3), normal_frame(1000, 2, features=3)
    current["x0"] += 3
    current.loc[:99, "x0"] = np.nan
    current.loc[:299, "x1"] = np.nan
    result = compare(tmp_path, reference, current)
    found = {feature.measured.name: feature for feature in result.features}
    assert sorted(drifted(result)) == ["x0", "x1"]
    assert found["x0"].measured.effects["standardised_mean_difference"] == pytest.approx(3, abs=0.2)
    assert found["x1"].measured.effects["missing_share_change"] == pytest.approx(0.3)
    assert found["x1"].severity == "severe"


def test_a_new_category_is_found_with_its_share(tmp_path: Path) -> None:
    reference, current = normal_frame(1000, 1, features=1), normal_frame(1000, 2, features=1)
    reference["colour"] = ["red", "blue"] * 500
    current["colour"] = ["red", "blue"] * 470 + ["green"] * 60
    result = compare(tmp_path, reference, current)
    assert drifted(result) == ["colour"]
    assert result.to_json()["new_categories"] == {"colour": {"green": 0.06}}


def test_a_boolean_is_a_category(tmp_path: Path) -> None:
    reference, current = normal_frame(1000, 1, features=1), normal_frame(1000, 2, features=1)
    reference["flag"] = [True, False] * 500
    current["flag"] = [True] * 900 + [False] * 100
    result = compare(tmp_path, reference, current)
    assert [(feature.measured.name, feature.measured.kind) for feature in result.features if feature.drift] == [("flag", "category")]


def test_too_few_rows_is_insufficient_and_never_no_drift(tmp_path: Path) -> None:
    result = compare(tmp_path, normal_frame(1000, 1), normal_frame(29, 2))
    assert result.verdict == "insufficient"
    assert "29 current rows" in result.sentence
    assert compare(tmp_path, normal_frame(1000, 1), normal_frame(0, 2)).verdict == "insufficient"


def test_a_feature_with_too_few_values_says_so_and_the_others_are_compared(tmp_path: Path) -> None:
    reference, current = normal_frame(500, 1, features=2), normal_frame(500, 2, features=2)
    reference.loc[20:, "x0"] = np.nan
    current.loc[20:, "x0"] = np.nan
    result = compare(tmp_path, reference, current)
    assert result.verdict == "no drift"
    assert "Too few values" in next(feature.reason for feature in result.features if feature.measured.name == "x0")


def test_dates_names_and_extra_columns_are_left_out_and_said(tmp_path: Path) -> None:
    reference, current = normal_frame(300, 1, features=1), normal_frame(300, 2, features=1)
    for frame in (reference, current):
        frame["delivered"] = frame["t"]
        frame["key"] = [f"k{index}" for index in range(300)]
        frame["pair"] = [f"p{index // 3}x{index % 2}" for index in range(300)]
    current["extra"] = 1.0
    result = compare(tmp_path, reference, current)
    assert sorted(result.left_out) == ["delivered", "extra", "key", "pair"]
    assert "not in the reference" in result.left_out["extra"]


def test_constant_and_empty_columns_have_a_defined_answer(tmp_path: Path) -> None:
    reference, current = normal_frame(300, 1, features=1), normal_frame(300, 2, features=1)
    for frame in (reference, current):
        frame["same"] = 5.0
        frame["one"] = "a"
        frame["empty"] = None
    reference["moved"], current["moved"] = 5.0, 6.0
    reference["emptied"], current["emptied"] = 1.5, None
    result = compare(tmp_path, reference, current)
    assert sorted(drifted(result)) == ["emptied", "moved"]
    found = {feature.measured.name: feature for feature in result.features}
    assert found["moved"].measured.effects["jensen_shannon_distance"] == pytest.approx(1.0)
    assert found["moved"].measured.effects["standardised_mean_difference"] is None
    assert found["empty"].reason == "Neither side has a value."
    assert found["same"].corrected["p_value"] == 1.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="x1"), r"column 'x1' \(number in the reference\) is missing from the current data"),
        (lambda frame: frame.assign(x1="text"), r"column 'x1' is a number in the reference and string \(category\) in the current data"),
    ],
)
def test_data_that_cannot_be_compared_fail_and_name_the_column(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(DriftError, match=message):
        compare(tmp_path, normal_frame(100, 1), change(normal_frame(100, 2)))


def test_infinite_values_are_counted_and_drift_as_a_tail(tmp_path: Path) -> None:
    current = normal_frame(2000, 2, features=3)
    current.loc[:19, "x1"] = np.inf
    result = compare(tmp_path, normal_frame(2000, 1, features=3), current)
    assert drifted(result) == ["x1"]
    found = result.features[0].measured
    assert (found.infinite_reference, found.infinite_current) == (0, 20)
    assert found.effects["tail_share_change"] == pytest.approx(0.01, abs=0.003)


def test_a_changed_correlation_is_found_though_no_single_feature_changed(tmp_path: Path) -> None:
    current = normal_frame(4000, 2, features=4)
    current["x1"] = 0.8 * current["x0"] + 0.6 * current["x1"]
    result = compare(tmp_path, normal_frame(4000, 1, features=4), current)
    assert (result.verdict, drifted(result)) == ("drift", [])
    assert result.multivariate.correlations[0].features == ("x0", "x1")
    assert result.multivariate.correlations[0].now == pytest.approx(0.8, abs=0.05)
    assert "no single feature shows" in result.sentence


@pytest.mark.parametrize(("detectors", "library"), [("profile,classifier", "scikit-learn"), ("profile,alibi", "alibi-detect")])
def test_an_interaction_is_found_by_a_classifier_that_names_the_features(tmp_path: Path, detectors: str, library: str) -> None:
    current = normal_frame(4000, 2, features=4)
    # The signs of two features agree more often: no mean, spread or rank correlation of a single one of them moves with a third.
    current["x2"] = np.abs(current["x2"]) * np.sign(current["x0"] * current["x1"])
    result = compare(tmp_path, normal_frame(4000, 1, features=4), current, detectors=detectors)
    assert (result.verdict, drifted(result), result.multivariate.correlations) == ("drift", [], [])
    assert result.multivariate.library == library
    assert result.multivariate.auc is not None
    assert result.multivariate.auc > 0.7
    assert set(list(result.multivariate.features)[:3]) == {"x0", "x1", "x2"}
    quiet = compare(tmp_path, normal_frame(4000, 1, features=4), normal_frame(4000, 3, features=4), detectors=detectors)
    assert quiet.verdict == "no drift"


def test_the_second_stage_is_passed_over_when_asked_and_the_first_alarms(tmp_path: Path) -> None:
    current = normal_frame(1000, 2)
    current["x3"] += 1
    assert compare(tmp_path, normal_frame(1000, 1), current, second_stage="when-quiet").multivariate.verdict == "not looked at"
    assert compare(tmp_path, normal_frame(1000, 1), normal_frame(1000, 3), second_stage="when-quiet").multivariate.verdict == "no drift"


def test_importances_weigh_the_verdict_and_it_says_so(tmp_path: Path) -> None:
    current = normal_frame(2000, 2)
    current["x3"] += 3
    normal_frame(2000, 1).to_parquet(tmp_path / "reference")
    current.to_parquet(tmp_path / "current")

    def severity(importance: float) -> tuple[str, str]:
        importances = {"x3": importance, "x1": 1 - importance}
        config = DriftSettings(detectors="profile")
        result = detect(
            tmp_path / "reference", tmp_path / "current", ignored_columns=["y"], timestamp_column="t", settings=config, importances=importances
        ).result
        return result.severity, result.sentence

    assert severity(0.9)[0] == "severe"
    assert severity(0.01)[0] == "slight"
    assert "with 90% of the importance" in severity(0.9)[1]


def run_component(folder: Path, *, present: bool, **parameters: Any) -> tuple[str, dict[str, Any]]:
    artifacts: dict[str, Any] = {
        "reference_data": dsl.Dataset(name="r", uri=str(folder / "reference"), metadata={"present": present}),
        "current_data": dsl.Dataset(name="c", uri=str(folder / "current"), metadata={}),
        "drift_result": dsl.Artifact(name="d", uri=str(folder / "out" / "result"), metadata={}),
        "drift_report": dsl.HTML(name="h", uri=str(folder / "out" / "report"), metadata={}),
        "metrics": dsl.Metrics(name="m", uri=str(folder / "out" / "metrics"), metadata={}),
    }
    answer = detect_drift.python_func(**artifacts, target_column="y", timestamp_column="t", **parameters)
    return answer, artifacts


def test_the_component_writes_every_output_and_its_record(tmp_path: Path) -> None:
    normal_frame(200, 1).to_parquet(tmp_path / "reference")
    normal_frame(200, 2).assign(x0=lambda frame: frame["x0"] + 2).to_parquet(tmp_path / "current")
    answer, artifacts = run_component(tmp_path, present=True, config="detectors: profile", ledger_uri=str(tmp_path / "ledger"), run_id="run-1")
    result = json.loads(Path(artifacts["drift_result"].path).read_text())
    record = json.loads((tmp_path / "ledger/runs/run-1/detect_drift.json").read_text())
    page = Path(artifacts["drift_report"].path).read_text()
    assert answer == result["verdict"] == record["outcome"] == "drift"
    assert artifacts["metrics"].metadata == {"features that drifted": 1.0, "share of features that drifted": pytest.approx(0.1)}
    assert record["details"]["share_drifted"] == pytest.approx(0.1)
    assert len(record["details"]["features"]) == 10
    assert record["details"]["rows"] == {"reference": 200, "current": 200}
    assert result["library"] == "evergreen"
    assert "<svg" in page
    assert "x0 (severe)" in page


def test_without_a_champion_the_answer_is_no_champion_and_every_output_is_there(tmp_path: Path) -> None:
    answer, artifacts = run_component(tmp_path, present=False)
    assert answer == "no champion"
    assert json.loads(Path(artifacts["drift_result"].path).read_text())["verdict"] == "no champion"
    assert "There is no champion yet" in Path(artifacts["drift_report"].path).read_text()
    assert json.loads(Path(artifacts["metrics"].path).read_text()) == artifacts["metrics"].metadata == {}
