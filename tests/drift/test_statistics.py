"""Effects, corrections, severities, and settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evergreen.drift import tabular_tests
from evergreen.drift.config import DriftConfig
from evergreen.drift.effects import jensen_shannon_distance, quantile_counts, standardised_mean_difference
from evergreen.drift.errors import DriftError
from evergreen.drift.settings import read_settings
from evergreen.drift.tabular_tests import choose_tests, corrected_p_values, merged_codes
from evergreen.drift.verdict import dataset_severity
from evergreen.errors import MissingExtraError


def read(value: str) -> DriftConfig:
    return read_settings(value, DriftConfig, parameter="drift_config", error=DriftError)


def test_corrected_p_values_are_those_of_scipy() -> None:
    from scipy.stats import false_discovery_control

    p_values = np.random.default_rng(1).random(50) ** 3
    assert corrected_p_values(list(p_values)) == pytest.approx(false_discovery_control(p_values))
    assert corrected_p_values([]) == []


def test_jensen_shannon_distance_agrees_with_scipy_on_large_samples_and_chance_adds_little() -> None:
    from scipy.spatial.distance import jensenshannon

    before, now = np.array([5e6, 3e6, 2e6]), np.array([2e6, 3e6, 5e6])
    assert jensen_shannon_distance(before, now) == pytest.approx(jensenshannon(before, now, base=2), abs=1e-4)
    assert jensen_shannon_distance(np.array([10.0, 0.0]), np.array([0.0, 10.0])) == pytest.approx(1.0)
    generator = np.random.default_rng(3)
    distances = [jensen_shannon_distance(*quantile_counts(generator.normal(size=1000), generator.normal(size=30))) for _ in range(200)]
    # Without the correction the median is about 0.24.
    assert np.median(distances) < 0.15


def test_standardised_mean_difference_has_a_sign_and_needs_a_deviation() -> None:
    assert standardised_mean_difference(np.array([0.0, 2.0]), np.array([-1.0])) == pytest.approx(-np.sqrt(2))
    assert standardised_mean_difference(np.array([0.1, 0.1, 0.1]), np.array([7.0])) is None


def test_rare_categories_are_merged_until_each_cell_expects_five_rows() -> None:
    before, now = np.array([100.0, 1, 1, 1, 50]), np.array([100.0, 1, 0, 2, 50])
    codes = merged_codes(before, now)
    merged = np.bincount(codes, weights=before + now)
    assert (merged * min(before.sum(), now.sum()) / (before + now).sum() >= 5).all()
    assert codes[0] != codes[4]


@pytest.mark.parametrize(
    ("severities", "expected"),
    [
        ([], "none"),
        (["none"] * 4, "none"),
        (["severe"], "severe"),
        (["severe", "none", "none", "none"], "severe"),
        (["severe", *["none"] * 7], "moderate"),
        (["severe", *["none"] * 19], "slight"),
        (["slight", "moderate", "none"], "moderate"),
    ],
)
def test_the_severity_of_a_dataset_is_its_worst_held_down_by_the_share(severities: list[str], expected: str) -> None:
    assert dataset_severity(severities, DriftConfig()) == expected


def test_alibi_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular_tests, "find_spec", lambda _name: None)
    assert choose_tests("auto").library == "scipy"
    with pytest.raises(MissingExtraError, match=r"kfp-evergreen\[alibi\]"):
        choose_tests("alibi")


def test_settings_come_in_line_from_a_file_or_are_the_default(tmp_path: Path) -> None:
    (tmp_path / "drift.yaml").write_text("significance: 0.01\n")
    assert read("default") == read("none") == DriftConfig()
    assert read('{"minimum_rows": 50}').minimum_rows == 50
    assert read(str(tmp_path / "drift.yaml")).significance == 0.01


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("significans: 0.1", "'significans' is no setting; the settings are library, significance"),
        ("significance: 2", "significance is 2: .*less than 1"),
        ("jensen_shannon_distance: -1", "jensen_shannon_distance is -1"),
        ("[1, 2]", "holds list: expected a mapping"),
        ("{a: [}", "neither YAML nor JSON"),
        ("/no/such/file.yaml", "there is no such file 'file.yaml'"),
        ("http://host/file.yaml", "expected settings in line, a path, or gs://"),
    ],
)
def test_settings_that_cannot_be_used_are_named(value: str, message: str) -> None:
    with pytest.raises(DriftError, match=message):
        read(value)
