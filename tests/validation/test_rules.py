"""Severities, quarantine, and the rules beyond ranges and categories."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.data.artifacts import DataManifest, describe_dataset, is_present, manifest_of
from evergreen.ingestion.step import EARLIER_ROWS
from evergreen.validation.contract import Contract
from evergreen.validation.errors import ContractError
from evergreen.validation.histograms import histogram_of, histogram_svg
from validation.conftest import good_frame

if TYPE_CHECKING:
    from collections.abc import Callable

BASE = (
    "columns: {{time: {{type: timestamp}}, temperature: {{type: number{temperature}}}, visits: {{type: integer{visits}}}, "
    "city: {{type: string{city}}}, rain: {{type: integer}}}}"
)


def contract(*, temperature: str = "", visits: str = "", city: str = "", more: str = "") -> str:
    return BASE.format(temperature=temperature, visits=visits, city=city) + "\n" + more


def with_hot_rows(count: int) -> pd.DataFrame:
    frame = good_frame()
    frame.loc[: count - 1, "temperature"] = 99.0
    return frame


QUARANTINED = ", maximum: 20, severity: quarantine"


def test_rows_in_quarantine_are_put_aside_with_the_reason_and_the_rest_goes_on(validate: Callable[..., Any]) -> None:
    described = type("Described", (), {"metadata": {}})()
    window = {"start": "2024-01-01T00:00:00Z", "end": "2024-02-01T00:00:00Z"}
    describe_dataset(described, DataManifest("s", [], window, 300, {}, "old", "2024-02-01T00:00:00Z"))
    frame = with_hot_rows(30).assign(city=["Bern!", *good_frame()["city"][1:]])
    made = validate(frame, contract=contract(temperature=QUARANTINED, city=", pattern: '[A-Za-z]+', severity: quarantine"), metadata=described.metadata)
    assert made.outcome == "passed with warnings"
    kept, aside = pd.read_parquet(made.validated_data.path), pd.read_parquet(made.quarantined_data.path)
    pd.testing.assert_frame_equal(kept, frame[30:].reset_index(drop=True))
    pd.testing.assert_frame_equal(aside.drop(columns="quarantine_reason"), frame[:30])
    assert aside["quarantine_reason"][0] == "temperature: expected at most 20; city: expected text matching [A-Za-z]+"
    assert set(aside["quarantine_reason"][1:]) == {"temperature: expected at most 20"}
    assert made.quarantined_data.metadata == {"present": True, "rows": 30}
    manifest = manifest_of(made.validated_data)
    assert manifest is not None
    assert (manifest.rows, made.validated_data.metadata["rows"], manifest.fingerprint != "old") == (270, 270, True)
    assert "30 rows were quarantined" in Path(made.validation_report.path).read_text()


def test_too_many_rows_for_quarantine_stop_the_run(validate: Callable[..., Any]) -> None:
    with pytest.raises(ContractError, match="'temperature': expected at most 20; 31 of 300"):
        validate(with_hot_rows(31), contract=contract(temperature=QUARANTINED))
    assert not is_present(validate.last.validated_data)
    assert not is_present(validate.last.quarantined_data)
    made = validate(with_hot_rows(31), contract=contract(temperature=f"{QUARANTINED}, tolerated_share: 0.5"))
    assert len(pd.read_parquet(made.quarantined_data.path)) == 31


def test_a_quarantine_that_leaves_nothing_is_a_failure(validate: Callable[..., Any]) -> None:
    with pytest.raises(ContractError, match="No rows would remain"):
        validate(good_frame(), contract=contract(temperature=", maximum: -1, severity: quarantine, tolerated_share: 1"))


def test_without_broken_rows_there_is_no_quarantine(validate: Callable[..., Any]) -> None:
    made = validate(good_frame(), contract=contract(temperature=QUARANTINED))
    assert made.outcome == "passed"
    assert made.quarantined_data.metadata == {"present": False}


def test_each_rule_may_have_its_own_severity_and_share(validate: Callable[..., Any]) -> None:
    rules = ", minimum: 1, maximum: 20, severities: {minimum: warn, maximum: quarantine}, tolerated_shares: {maximum: 0.01}"
    assert validate(with_hot_rows(3), contract=contract(temperature=rules)).outcome == "passed with warnings"
    assert len(pd.read_parquet(validate.last.quarantined_data.path)) == 3
    with pytest.raises(ContractError, match="at most 20") as caught:
        validate(with_hot_rows(4), contract=contract(temperature=rules))
    assert "at least 1" not in str(caught.value)


def test_missing_values_may_go_to_quarantine(validate: Callable[..., Any]) -> None:
    frame = good_frame()
    frame.loc[[5, 7], "temperature"] = np.nan
    made = validate(frame, contract=contract(temperature=", maximum_null_share: 0, severity: quarantine"))
    assert len(pd.read_parquet(made.validated_data.path)) == 298


@pytest.mark.parametrize(
    ("column", "rules", "values", "expected"),
    [
        ("city", ", pattern: '[A-Z][a-z]+'", ["oslo", "Rome 2"], "expected text matching .*; 2 of 300 rows, such as 'oslo', 'Rome 2'"),
        ("visits", ", unique: true", [1000, 1000], "expected unique values; .* such as 1000|expected unique values"),
    ],
)
def test_patterns_and_uniqueness(validate: Callable[..., Any], column: str, rules: str, values: list[Any], expected: str) -> None:
    frame = good_frame().assign(visits=range(300))
    frame.loc[:1, column] = values
    with pytest.raises(ContractError, match=expected):
        validate(frame, contract=contract(**{column: rules}))
    assert validate(good_frame().assign(visits=range(300)), contract=contract(**{column: rules})).outcome == "passed"


def test_of_equal_values_the_first_is_kept(validate: Callable[..., Any]) -> None:
    frame = good_frame().assign(visits=[7, 7, 7, *range(1000, 1297)])
    made = validate(frame, contract=contract(visits=", unique: true, severity: quarantine"))
    assert pd.read_parquet(made.validated_data.path)["visits"].tolist() == [7, *range(1000, 1297)]


def test_rules_over_several_columns(validate: Callable[..., Any]) -> None:
    rules = "rules: [{expression: temperature < 90 or visits > 1000, severity: quarantine}]"
    made = validate(with_hot_rows(2), contract=contract(more=rules))
    assert pd.read_parquet(made.quarantined_data.path)["quarantine_reason"].tolist() == ["temperature, visits: expected temperature < 90 or visits > 1000"] * 2
    with pytest.raises(ContractError, match=r"expected temperature < visits; .*such as 'temperature="):
        validate(good_frame(), contract=contract(more="rules: [{expression: temperature < visits}]"))
    assert validate(good_frame(), contract=contract(more="rules: [{expression: wind < visits}]")).outcome == "passed with warnings"
    assert "cannot be checked without wind" in Path(validate.last.validation_report.path).read_text()


def test_freshness_of_the_newest_time(validate: Callable[..., Any]) -> None:
    recent = good_frame().assign(time=lambda frame: frame["time"] + (datetime.now(timezone.utc) - frame["time"].max()) - timedelta(days=2))
    assert validate(recent, contract=contract().replace("timestamp", "timestamp, maximum_age_days: 3")).outcome == "passed"
    with pytest.raises(ContractError, match=r"'time': expected a newest time at most 1 days old, found 2\.0 days"):
        validate(recent, contract=contract().replace("timestamp", "timestamp, maximum_age_days: 1"))


@pytest.mark.parametrize(
    ("earlier", "outcome"),
    [([600, 610, 700], "passed with warnings"), ([300, 310, 290], "passed"), ([9000, 9000], "passed"), ([], "passed")],
)
def test_the_number_of_rows_beside_earlier_windows(validate: Callable[..., Any], earlier: list[int], outcome: str) -> None:
    made = validate(good_frame(), contract=contract(more="row_volume: {minimum_ratio: 0.5}"), metadata={EARLIER_ROWS: json.dumps(earlier)})
    assert made.outcome == outcome
    told = "expected between 305 and 1,220 rows (0.5 to 2 times the usual 610)" in Path(made.validation_report.path).read_text()
    assert told == (outcome != "passed")


def test_a_row_volume_may_stop_the_run(validate: Callable[..., Any]) -> None:
    with pytest.raises(ContractError, match=r"expected between .* rows"):
        validate(good_frame(), contract=contract(more="row_volume: {severity: fail}"), metadata={EARLIER_ROWS: "[1, 1, 1]"})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (good_frame().rename(columns={"temperature": "temperature_c"}), "'temperature'.*renamed to 'temperature_c' .the names are similar"),
        (good_frame().rename(columns={"city": "place"}), "'city'.*renamed to 'place' .its values meet the same rules"),
        (good_frame().rename(columns={"rain": "rains"}), "target_column is missing.*renamed to 'rains'"),
        (good_frame().rename(columns={"city": "xyz"}).assign(xyz="Lima"), "'city'.*Columns: time"),
        (good_frame().assign(temperature="warm").rename(columns={"temperature": "temperatur"}), "'temperature'.*Columns: time"),
    ],
)
def test_a_renamed_column_is_suggested_when_it_is_likely(validate: Callable[..., Any], frame: pd.DataFrame, expected: str) -> None:
    with pytest.raises(ContractError, match=expected):
        validate(frame, contract=contract(city=", allowed_values: [Oslo, Rome]"))


def test_a_dropped_optional_column_warns(validate: Callable[..., Any]) -> None:
    made = validate(good_frame().drop(columns="city"), contract=contract(city=", required: false"))
    assert made.outcome == "passed with warnings"
    assert "an optional column is missing" in Path(made.validation_report.path).read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("columns: {x: {type: number, pattern: a}}", "pattern is not valid for type number"),
        ("columns: {x: {type: string, pattern: '['}}", "is not a regular expression"),
        ("columns: {x: {type: string, maximum_age_days: 3}}", "maximum_age_days is not valid for type string"),
        ("columns: {x: {type: number, severity: quarantin}}", "'fail', 'quarantine' or 'warn'"),
        ("columns: {x: {type: number, severities: {range: warn}}}", r"columns\.x\.severities\.range"),
        ("columns: {x: {type: number}}\nrules: [{expression: 'x <'}]", r"rules\.0\.expression: rule 'x <': is not an expression"),
        ("columns: {x: {type: number}}\nrules: [{expresion: x > 1}]", "Did you mean 'expression'"),
        ("columns: {x: {type: number}}\nrow_volume: {minimum_ratio: 2}", r"row_volume\.minimum_ratio.*less than or equal to 1"),
    ],
)
def test_mistakes_in_the_new_rules_are_named(text: str, expected: str) -> None:
    with pytest.raises(ContractError, match=expected):
        Contract.from_yaml(text)


def test_a_histogram_counts_every_value_once() -> None:
    rules = Contract.from_yaml("columns: {x: {type: number, minimum: 0, maximum: 10}}").columns["x"]
    values = pd.Series([-5.0, -1.0, 0.0, 3.0, 10.0, 11.0, 999.0, np.nan, np.inf])
    histogram = histogram_of(values, [0, 1, 5, 6], rules)
    assert histogram is not None
    assert (histogram.labels[0], histogram.labels[-1]) == ("below 0", "above 10")
    assert (histogram.broken[0], histogram.broken[-1], histogram.broken.sum(), histogram.kept.sum()) == (2, 2, 4, 3)
    assert (histogram.kept[1], histogram.kept[-2]) == (1, 1)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (pd.Series(["b", "a", "a", None]), ["b", "a"]),
        (pd.Series([True, False, True, True]), ["True", "False"]),
        (pd.Series([f"c{index}" for index in range(20)]), 9),
        (pd.Series([4.0, 4.0, 4.0]), 18),
        (pd.Series(pd.date_range("2024-01-01", periods=5, tz="UTC")), 18),
        (pd.Series([np.nan, np.nan]), None),
    ],
)
def test_histograms_of_any_kind_of_column(values: pd.Series[Any], labels: Any) -> None:
    histogram = histogram_of(values, [0], None)
    if labels is None:
        assert histogram is None
        return
    assert histogram is not None
    assert int(histogram.kept.sum() + histogram.broken.sum()) == values.notna().sum()
    assert histogram.broken.sum() == 1
    assert (sorted(histogram.labels) == sorted(labels)) if isinstance(labels, list) else (len(histogram.labels) == labels)


def test_a_histogram_escapes_what_the_data_holds() -> None:
    histogram = histogram_of(pd.Series(["<script>"] * 3), [0], None)
    assert histogram is not None
    assert "<script>" not in histogram_svg(histogram, 'x"><script>')
