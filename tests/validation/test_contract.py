from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen.validation.contract import Contract
from evergreen.validation.errors import ContractError
from evergreen.validation.frame import load_data
from evergreen.validation.inference import infer_contract, inference_comments
from validation.conftest import good_frame

if TYPE_CHECKING:
    from pathlib import Path


def test_a_contract_survives_its_yaml(tmp_path: Path) -> None:
    good_frame().to_parquet(tmp_path / "d")
    contract = infer_contract(load_data(tmp_path / "d"), timestamp_column="time")
    assert Contract.from_yaml(contract.to_yaml(inference_comments(300))) == contract


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("columns: {x: {type: number, minimun: 3}}", r"Unknown key 'columns\.x\.minimun'.*Did you mean 'minimum'"),
        ("colums: {}", r"Unknown key 'colums'.*Did you mean 'columns'"),
        ("columns: {x: {type: float}}", r"columns\.x\.type.*'number'.*found 'float'"),
        ("columns: {x: {}}", r"columns\.x\.type: Field required"),
        ("columns: {}", r"columns"),
        ("columns: {x: {type: number, minimum: 3, maximum: 2}}", "minimum 3 is above maximum 2"),
        ("columns: {x: {type: string, minimum: 3}}", "are not valid for type string"),
        ("columns: {x: {type: timestamp, minimum: 3}}", "must be times"),
        ("columns: {x: {type: number, minimum: 2024-01-01}}", "must be numbers"),
        ("columns: {x: {type: string, allowed_values: [no]}}", "allowed value False is not of type string; quote text"),
        ("columns: {x: {type: number, tolerated_share: 2}}", r"tolerated_share.*less than or equal to 1"),
        ("version: 2\ncolumns: {x: {type: number}}", r"version.*found 2"),
        ("[1, 2]", "is a list; expected a mapping"),
        ("columns: {x: ", "is not YAML"),
    ],
)
def test_mistakes_in_a_contract_are_named(text: str, expected: str) -> None:
    with pytest.raises(ContractError, match=expected):
        Contract.from_yaml(text)


def test_inference_widens_what_it_saw(tmp_path: Path) -> None:
    table = pa.table(
        {
            "number": [0.0, 10.0, None, float("inf")],
            "integer": pa.array([2, 5, 3, 4], pa.int8()),
            "constant": [7, 7, 7, 7],
            "category": pa.array(["a", "b", None, "a"]).dictionary_encode(),
            "truth": [True, False, None, True],
            "time": pa.array([1, 2, 3, 4], pa.timestamp("s")),
            "listed": [[1], [2], [3], [4]],
        }
    )
    pq.write_table(table, tmp_path / "d")
    columns = infer_contract(load_data(tmp_path / "d"), timestamp_column="time").columns
    assert (columns["number"].minimum, columns["number"].maximum, columns["number"].maximum_null_share) == (-10.0, 20.0, 0.35)
    assert (columns["integer"].type, columns["integer"].minimum, columns["integer"].maximum, columns["integer"].tolerated_share) == ("integer", -1, 8, 0.5)
    assert (columns["constant"].minimum, columns["constant"].maximum) == (0, 14)
    assert (columns["category"].allowed_values, columns["category"].severity) == (["a", "b"], "warn")
    assert columns["truth"].type == "boolean"
    assert (columns["time"].type, columns["time"].maximum_null_share, columns["time"].maximum) == ("timestamp", 0.0, None)
    assert "listed" not in columns


def test_many_texts_are_no_categories(tmp_path: Path) -> None:
    pd.DataFrame({"key": [f"k{index}" for index in range(101)]}).to_parquet(tmp_path / "d")
    assert infer_contract(load_data(tmp_path / "d"), timestamp_column="time").columns["key"].allowed_values is None


def test_nothing_to_infer_from_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"listed": [[1]]}), tmp_path / "d")
    with pytest.raises(ContractError, match="no contract can be inferred"):
        infer_contract(load_data(tmp_path / "d"), timestamp_column="time")


def test_a_small_sample_says_so() -> None:
    assert "199 rows are a small sample" in inference_comments(199)[-1]
    assert not any("small sample" in line for line in inference_comments(200))


def test_times_are_compared_in_utc(tmp_path: Path) -> None:
    from evergreen.validation.checks import check_values

    good_frame(10).assign(day=np.datetime64("2024-01-01")).to_parquet(tmp_path / "d")
    data = load_data(tmp_path / "d")
    contract = Contract.from_yaml("columns: {time: {type: timestamp, minimum: 2024-01-01T02:00:00}, day: {type: timestamp, maximum: 2023-12-31}}")
    late, day = sorted(check_values(data.frame, contract, columns=["time", "day"]), key=lambda finding: finding.count)
    assert (late.column, late.count, day.column, day.count) == ("time", 2, "day", 10)
