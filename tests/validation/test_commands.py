from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from typer.testing import CliRunner

from evergreen.cli.main import app
from evergreen.errors import EvergreenError
from evergreen.validation.contract import Contract
from validation.conftest import good_frame

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    good_frame().to_parquet(tmp_path / "data.parquet", index=False)
    return tmp_path / "data.parquet"


def test_infer_writes_a_contract_that_its_own_data_passes(data: Path, tmp_path: Path) -> None:
    result = run("contract", "infer", data, "-o", tmp_path / "c.yaml", "--timestamp-column", "time")
    assert result.exit_code == 0
    assert "5 columns, inferred from 300 rows. Review it" in result.stdout
    contract = Contract.from_yaml((tmp_path / "c.yaml").read_text())
    assert (contract.status, contract.columns["time"].maximum_null_share) == ("inferred, unreviewed", 0.0)
    passed = run("validate", data, "--contract", tmp_path / "c.yaml", "--target-column", "rain", "--json")
    assert passed.exit_code == 0
    assert json.loads(passed.stdout.splitlines()[-1]) == {"status": "passed", "rows": 300, "rows_quarantined": 0, "findings": []}


def test_broken_data_exits_with_1_and_says_what_broke(data: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("columns: {temperature: {type: number, maximum: 5}, wind: {type: number, required: false}}")
    result = run("validate", data, "--contract", tmp_path / "c.yaml", "--html", tmp_path / "sub" / "r.html")
    assert result.exit_code == 1
    assert "fail       column 'temperature': expected at most 5" in result.stdout
    assert result.stdout.splitlines()[-1] == "broken: 300 rows"
    page = (tmp_path / "sub" / "r.html").read_text()
    assert "The data violates 1 rule of its contract." in page
    assert 'aria-label="Histogram of temperature"' in page
    broken = json.loads(run("validate", data, "--contract", tmp_path / "c.yaml", "--json").stdout.splitlines()[-1])
    assert broken["status"] == "broken"
    assert {finding["severity"] for finding in broken["findings"]} == {"fail", "warn"}


def test_rows_in_quarantine_are_written(data: Path, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("columns: {temperature: {type: number, maximum: 9.9, severity: quarantine}}")
    result = run("validate", data, "--contract", tmp_path / "c.yaml", "--quarantine", tmp_path / "aside.parquet", "--json")
    assert result.exit_code == 0
    aside = pd.read_parquet(tmp_path / "aside.parquet")
    expected = good_frame()[good_frame()["temperature"] > 9.9]
    assert aside["temperature"].tolist() == expected["temperature"].tolist()
    assert json.loads(result.stdout.splitlines()[-1])["rows_quarantined"] == len(expected) > 0


def test_serving_requests_are_checked_without_label_and_time(data: Path, tmp_path: Path) -> None:
    run("contract", "infer", data, "-o", tmp_path / "c.yaml", "--timestamp-column", "time")
    requests = good_frame().drop(columns=["rain", "time"])
    requests.to_csv(tmp_path / "requests.csv", index=False)
    check = ("validate", tmp_path / "requests.csv", "--contract", tmp_path / "c.yaml")
    assert run(*check).exit_code == 1
    assert run(*check, "--exclude", "rain", "--exclude", "time").exit_code == 0
    requests.assign(temperature=lambda frame: frame["temperature"] * 1.8 + 132).to_csv(tmp_path / "requests.csv", index=False)
    skewed = run(*check, "--exclude", "rain", "--exclude", "time")
    assert skewed.exit_code == 1
    assert "column 'temperature': expected at most" in skewed.stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("contract", "infer", "{data}", "--timestamp-column", "tme"), "'tme'.*has no such column"),
        (("contract", "infer", "{folder}/nothing"), "no such file or folder"),
        (("validate", "{data}", "--contract", "{folder}/none.yaml"), "none.yaml': cannot be read"),
        (("validate", "{data}", "--contract", "{folder}/c.yaml", "--exclude", "wind"), "--exclude 'wind': the contract has no such column"),
    ],
)
def test_mistakes_are_named(data: Path, tmp_path: Path, words: tuple[str, ...], expected: str) -> None:
    (tmp_path / "c.yaml").write_text("columns: {temperature: {type: number}}")
    result = run(*(word.format(data=data, folder=tmp_path) for word in words))
    assert isinstance(result.exception, EvergreenError)
    with pytest.raises(EvergreenError, match=expected):
        raise result.exception
