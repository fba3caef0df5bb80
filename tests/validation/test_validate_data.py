from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen import validate_data
from evergreen.data.artifacts import DataManifest, describe_dataset, is_present, manifest_of, write_absent
from evergreen.runs.records import read_run
from evergreen.storage.opening import open_store
from evergreen.validation.contract import Contract
from evergreen.validation.errors import ContractError
from support.local_runs import run_here
from validation.conftest import good_frame

if TYPE_CHECKING:
    from collections.abc import Callable

GIVEN = """
version: 1
minimum_rows: 10
columns:
  time: {type: timestamp, maximum_null_share: 0}
  temperature: {type: number, minimum: -50, maximum: 60, maximum_null_share: 0.1}
  visits: {type: integer, minimum: 0}
  city: {type: string, allowed_values: [Oslo, Rome]}
  rain: {type: integer, allowed_values: [0, 1]}
  wind: {type: number, required: false}
"""


def changed(column: str, values: Any, rows: int = 300) -> pd.DataFrame:
    return good_frame(rows).assign(**{column: values})


def with_first(column: str, count: int, value: Any) -> pd.DataFrame:
    frame = good_frame()
    frame[column] = frame[column].astype(object if isinstance(value, str) else float)
    frame.loc[: count - 1, column] = value
    return frame


def test_good_data_passes_unchanged_and_the_contract_is_inferred(validate: Callable[..., Any]) -> None:
    made = validate(good_frame(), metadata={"fingerprint": "f"})
    assert made.outcome == "passed"
    pd.testing.assert_frame_equal(pd.read_parquet(made.validated_data.path), good_frame())
    assert made.validated_data.metadata == {"fingerprint": "f", "present": True}
    assert made.contract_used.metadata == {"present": True, "status": "inferred, unreviewed", "origin": "inferred"}
    text = Path(made.contract_used.path).read_text()
    assert "widened by its full span" in text.splitlines()[1]
    assert "The data meets all rules." in Path(made.validation_report.path).read_text()


BROKEN: dict[str, tuple[pd.DataFrame, dict[str, Any], list[str]]] = {
    "missing target": (good_frame().drop(columns="rain"), {}, ["'rain'", "target_column is missing", "time, temperature"]),
    "missing time": (good_frame().drop(columns="time"), {}, ["'time'", "timestamp_column is missing"]),
    "missing required column": (good_frame().drop(columns="city"), {}, ["'city'", "required column is missing"]),
    "too few rows": (good_frame(9), {}, ["at least 10 rows", "9"]),
    "infinite": (with_first("temperature", 2, np.inf), {}, ["'temperature'", "infinite values", "2 of 300"]),
    "all null": (changed("temperature", np.nan), {}, ["'temperature'", "has no values", "300 of 300"]),
    "text for numbers": (with_first("temperature", 300, "warm"), {}, ["'temperature'", "cannot be parsed as numbers", "300 of 300", "'warm'"]),
    "numbers as text": (changed("visits", "12"), {}, ["'visits'", "can be parsed as numbers", "300 of 300", "'12'"]),
    "fractions": (changed("visits", 0.5), {}, ["'visits'", "whole numbers", "0.5"]),
    "wrong type": (changed("city", 3), {}, ["'city'", "expected string values, found integer", "3"]),
    "below the range": (with_first("visits", 3, -1.0), {}, ["'visits'", "at least 0", "3 of 300", "-1.0"]),
    "above the range": (with_first("temperature", 1, 61.0), {}, ["'temperature'", "at most 60", "1 of 300", "61.0"]),
    "values not allowed": (with_first("city", 4, "Bern"), {}, ["'city'", "one of 'Oslo', 'Rome'", "4 of 300", "'Bern'"]),
    "nulls": (with_first("temperature", 60, np.nan), {}, ["'temperature'", "missing share of at most 0.1", "60 of 300"]),
    "one class": (changed("rain", 1), {}, ["'rain'", "only one class", "300 of 300"]),
    "one class of floats": (changed("rain", 1.0), {"task": "classification"}, ["'rain'", "only one class"]),
    "labels missing": (changed("rain", np.nan), {}, ["'rain'", "has no values"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_data_is_told_and_every_output_written(validate: Callable[..., Any], case: str) -> None:
    frame, options, expected = BROKEN[case]
    with pytest.raises(ContractError) as caught:
        validate(frame, contract=GIVEN, **options)
    first = str(caught.value).splitlines()[0]
    for part in expected:
        assert part in first
    made = validate.last
    assert not is_present(made.validated_data)
    assert Path(made.validated_data.path).exists()
    assert made.contract_used.metadata == {"present": True, "status": "reviewed", "origin": "given"}
    assert Contract.from_yaml(Path(made.contract_used.path).read_text()) == Contract.from_yaml(GIVEN)
    assert "The data violates" in Path(made.validation_report.path).read_text()


def test_every_broken_rule_is_listed_and_recorded(validate: Callable[..., Any], tmp_path: Path) -> None:
    frame = with_first("visits", 3, -1.0).assign(temperature=99.0, extra=1)
    ledger = str(tmp_path / "ledger")
    with pytest.raises(ContractError) as caught:
        validate(frame, contract=GIVEN, ledger_uri=ledger, run_id="r1")
    assert "2 rules are violated" in str(caught.value)
    assert "'visits'" in str(caught.value)
    assert "'temperature'" in str(caught.value)
    (record,) = read_run(open_store(ledger), "r1")
    assert (record.state, record.outcome, record.details["origin"]) == ("failed", "broken", "given")
    assert {(finding["column"], finding["severity"]) for finding in record.details["findings"]} == {
        ("visits", "fail"),
        ("temperature", "fail"),
        ("extra", "warn"),
        ("wind", "warn"),
    }
    assert Path(record.reports["validation_report"]).exists()


def test_integers_pass_as_numbers_and_whole_floats_as_integers(validate: Callable[..., Any]) -> None:
    frame = good_frame().assign(temperature=3, wind=1.5).astype({"visits": float})
    assert validate(frame, contract=GIVEN).outcome == "passed"


def test_an_optional_column_may_be_absent_or_empty_but_not_wrong(validate: Callable[..., Any]) -> None:
    assert validate(changed("wind", np.nan), contract=GIVEN).outcome == "passed"
    with pytest.raises(ContractError, match="'wind'"):
        validate(changed("wind", "strong"), contract=GIVEN)


@pytest.mark.parametrize("labels", [1, np.nan])
def test_a_watched_window_may_have_one_class_or_no_labels(validate: Callable[..., Any], labels: float) -> None:
    champion = dsl.Artifact(name="c", uri=validate(good_frame()).contract_used.path + ".champion", metadata={"present": True})
    Path(champion.path).write_text(Path(validate.last.contract_used.path).read_text())
    made = validate(changed("rain", labels), champion_contract=champion, check_target_classes=False)
    assert made.outcome == "passed"
    assert made.contract_used.metadata["origin"] == "champion"
    assert made.contract_used.metadata["status"] == "inferred, unreviewed"
    assert "rain" in pd.read_parquet(made.validated_data.path)


def test_a_constant_regression_target_is_no_class(validate: Callable[..., Any]) -> None:
    assert validate(changed("rain", 1), task="regression").outcome == "passed"


def test_an_unknown_column_is_reported_and_dropped_and_the_fingerprint_follows(validate: Callable[..., Any]) -> None:
    described = dsl.Dataset(name="d", uri="/nowhere", metadata={})
    window = {"start": "2024-01-01T00:00:00Z", "end": "2024-02-01T00:00:00Z"}
    describe_dataset(described, DataManifest("s", [], window, 300, {"extra": "int64"}, "old", "2024-02-01T00:00:00Z"))
    made = validate(changed("extra", 1), contract=GIVEN, metadata=described.metadata)
    assert made.outcome == "passed with warnings"
    assert "extra" not in pd.read_parquet(made.validated_data.path)
    manifest = manifest_of(made.validated_data)
    assert manifest is not None
    assert manifest.fingerprint not in ("old", "")
    assert "extra" not in manifest.schema
    assert made.validated_data.metadata["window_end"] == window["end"]
    assert "extra" in Path(made.validation_report.path).read_text()


def test_target_and_time_stay_when_the_contract_does_not_name_them(validate: Callable[..., Any]) -> None:
    made = validate(good_frame(), contract="columns: {temperature: {type: number}, visits: {type: number}, city: {type: string}}")
    assert made.outcome == "passed"
    assert list(pd.read_parquet(made.validated_data.path).columns) == list(good_frame().columns)


def test_the_given_contract_goes_before_the_champions_and_an_absent_champion_counts_for_nothing(validate: Callable[..., Any], tmp_path: Path) -> None:
    champion = dsl.Artifact(name="c", uri=str(tmp_path / "champion"), metadata={})
    write_absent(champion)
    assert validate(good_frame(), champion_contract=champion).contract_used.metadata["origin"] == "inferred"
    (tmp_path / "contract.yaml").write_text(GIVEN)
    champion.metadata["present"] = True
    for given in (GIVEN, str(tmp_path / "contract.yaml"), (tmp_path / "contract.yaml").as_uri()):
        made = validate(good_frame(), champion_contract=champion, contract=given)
        assert made.contract_used.metadata["origin"] == "given"


def test_a_contract_that_cannot_be_read_is_named(validate: Callable[..., Any]) -> None:
    with pytest.raises(ContractError, match=r"'/nowhere/contract.yaml': cannot be read"):
        validate(good_frame(), contract="/nowhere/contract.yaml")
    with pytest.raises(ContractError, match=r"'file:///nowhere/c.yaml': cannot be read: file 'c.yaml' does not exist"):
        validate(good_frame(), contract="file:///nowhere/c.yaml")


def test_an_unknown_task_is_refused(validate: Callable[..., Any]) -> None:
    with pytest.raises(ContractError, match=r"Unknown task 'ranking'\. Valid tasks: auto"):
        validate(good_frame(), task="ranking")


def test_new_categories_and_shifted_numbers_only_warn_under_an_inferred_contract(validate: Callable[..., Any], tmp_path: Path) -> None:
    champion = dsl.Artifact(name="c", uri=str(tmp_path / "champion"), metadata={"present": True})
    Path(champion.path).write_text(Path(validate(good_frame()).contract_used.path).read_text())
    shifted = with_first("city", 5, "Bern")
    shifted["temperature"] += 9
    made = validate(shifted, champion_contract=champion)
    assert made.outcome == "passed with warnings"
    assert "&#39;Bern&#39;" in Path(made.validation_report.path).read_text()
    with pytest.raises(ContractError, match="'temperature': expected at most"):
        validate(shifted.assign(temperature=1000.0), champion_contract=champion)


def test_outliers_are_reported_and_pass_under_an_inferred_contract(validate: Callable[..., Any], tmp_path: Path) -> None:
    champion = dsl.Artifact(name="c", uri=str(tmp_path / "champion"), metadata={"present": True})
    Path(champion.path).write_text(Path(validate(good_frame()).contract_used.path).read_text())
    frame = good_frame(30)
    frame.loc[0, "temperature"] = 900.0
    made = validate(frame, champion_contract=champion)
    assert made.outcome == "passed with warnings"
    assert "900.0" in Path(made.validation_report.path).read_text()


def test_the_champions_contract_is_optional_in_a_pipeline(tmp_path: Path) -> None:
    good_frame(30).to_parquet(tmp_path / "data", index=False)
    (tmp_path / "contract").write_text(GIVEN)
    data, contract = str(tmp_path / "data"), str(tmp_path / "contract")

    @dsl.pipeline(name="with-and-without")
    def with_and_without():
        rows = dsl.importer(artifact_uri=data, artifact_class=dsl.Dataset, reimport=True)
        champion = dsl.importer(artifact_uri=contract, artifact_class=dsl.Artifact, reimport=True)
        validate_data(dataset=rows.output, target_column="rain", timestamp_column="time")
        validate_data(dataset=rows.output, champion_contract=champion.output, target_column="rain", timestamp_column="time")

    folder = run_here(with_and_without, tmp_path / "root")
    origins = set()
    for path in folder.rglob("output_metadata.json"):
        artifacts = json.loads(path.read_text()).get("artifacts", {})
        if "contract_used" in artifacts:
            origins.add(artifacts["contract_used"]["artifacts"][0]["metadata"]["origin"])
    assert origins == {"inferred", "champion"}
