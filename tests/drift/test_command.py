"""`evergreen drift`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.commands import Finished, evergreen


def drift(*arguments: str, folder: Path) -> Finished:
    return evergreen("drift", *arguments, folder=folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    generator = np.random.default_rng(1)
    reference, current = (pd.DataFrame(generator.normal(size=(800, 3)), columns=["a", "b", "c"]) for _ in range(2))
    current["b"] += 0.5
    reference.to_csv(tmp_path / "reference.csv", index=False)
    current.to_parquet(tmp_path / "current.parquet")
    return tmp_path


def test_json_has_a_verdict_a_line_a_feature_and_rows(folder: Path) -> None:
    finished = drift("reference.csv", "current.parquet", "--detectors", "profile", "--json", "--html", "report.html", folder=folder)
    assert finished.status == 0, finished.stderr
    result = json.loads(finished.stdout.splitlines()[-1])
    assert (result["drift"], result["verdict"], result["rows"]) == (True, "drift", {"reference": 800, "current": 800})
    assert [feature["name"] for feature in result["features"] if feature["drift"]] == ["b"]
    assert {"name", "drift", "p_value", "effects", "reason"} <= set(result["features"][0])
    assert result["multivariate"]["drift"] is False
    assert (folder / "report.html").read_text().startswith("<!")


def test_a_stored_profile_takes_the_place_of_the_reference(folder: Path) -> None:
    kept = drift("reference.csv", "current.parquet", "--detectors", "profile", "--save-profile", "reference.profile", "--json", folder=folder)
    again = drift("reference.profile", "current.parquet", "--detectors", "profile", "--json", folder=folder)
    assert kept.status == again.status == 0
    assert json.loads(kept.stdout) == json.loads(again.stdout)


def test_a_person_reads_the_sentence_and_a_table(folder: Path) -> None:
    finished = drift("reference.csv", "current.parquet", "--detectors", "profile", "--exclude", "b", folder=folder)
    assert finished.status == 0
    assert "No drift: none of 2 features" in finished.stdout
    assert "No significant change." in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.csv", "current.parquet"], "dataset absent.csv: no such file"),
        (["reference.csv", "current.parquet", "--detectors", "magic"], "'magic' is not one of 'auto'"),
        (["reference.csv", "current.parquet", "--config", "floor: 1"], "Unknown setting 'floor'. Valid settings: "),
        (["reference.csv", "current.parquet", "--config", "reference_season: same-period"], "no time column named ''"),
    ],
)
def test_bad_input_has_exit_status_2(folder: Path, arguments: list[str], message: str) -> None:
    finished = drift(*arguments, folder=folder)
    assert finished.status == 2
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
