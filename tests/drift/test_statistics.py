"""Effects, corrections, severities, and settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evergreen.drift import settings
from evergreen.drift.effects import jensen_shannon_distance, spread_change, standardised_mean_difference, tail_shares
from evergreen.drift.errors import DriftError
from evergreen.drift.profile.accumulators import NumberCounts
from evergreen.drift.profile.edges import choose_edges
from evergreen.drift.settings import DriftSettings
from evergreen.drift.statistics import chi_squared, corrected_p_values, equal_shares, kolmogorov_smirnov, upper_gamma
from evergreen.drift.verdict import dataset_severity
from evergreen.errors import MissingExtraError
from evergreen.settings.reading import read_settings


def read(value: str) -> DriftSettings:
    return read_settings(value, DriftSettings, parameter="drift_config", error=DriftError)


def test_corrected_p_values_are_those_of_scipy() -> None:
    from scipy.stats import false_discovery_control

    p_values = np.random.default_rng(1).random(50) ** 3
    assert corrected_p_values(list(p_values)) == pytest.approx(false_discovery_control(p_values))
    assert corrected_p_values([]) == []


def counted(values: np.ndarray, edges: np.ndarray) -> NumberCounts:
    counts = NumberCounts(edges)
    counts.add(values.astype(float), nulls=0)
    return counts


def test_jensen_shannon_distance_agrees_with_scipy_on_large_samples_and_chance_adds_little() -> None:
    from scipy.spatial.distance import jensenshannon

    before, now = np.array([5_000_000, 3_000_000, 2_000_000]), np.array([2_000_000, 3_000_000, 5_000_000])
    assert jensen_shannon_distance(before, now) == pytest.approx(jensenshannon(before, now, base=2), abs=1e-4)
    assert jensen_shannon_distance(np.array([10, 0]), np.array([0, 10])) == pytest.approx(1.0)
    generator = np.random.default_rng(3)
    cells = np.linspace(0, 1, 11)
    distances = [jensen_shannon_distance(np.histogram(generator.random(1000), cells)[0], np.histogram(generator.random(30), cells)[0]) for _ in range(200)]
    # Without the correction the median is about 0.24.
    assert np.median(distances) < 0.15


def test_binned_kolmogorov_smirnov_is_close_to_scipys_on_the_values() -> None:
    from scipy.stats import ks_2samp

    generator = np.random.default_rng(5)
    for shift in (0.0, 0.05, 0.15):
        before, now = generator.normal(size=3000), generator.normal(shift, 1, 2000)
        edges = choose_edges(before)
        ours = kolmogorov_smirnov(counted(before, edges).counts, counted(now, edges).counts)
        assert ours == pytest.approx(ks_2samp(before, now, method="asymp").pvalue, rel=0.4, abs=0.02)


def test_chi_squared_is_scipys() -> None:
    from scipy.stats import chi2, chi2_contingency

    for before, now in (([50, 30, 20], [40, 30, 35]), ([500, 300, 0, 7], [100, 300, 0, 7]), ([10, 10], [10, 10])):
        used = [[b, n] for b, n in zip(before, now, strict=True) if b + n]
        assert chi_squared(np.array(before), np.array(now)) == pytest.approx(chi2_contingency(used, correction=False).pvalue, rel=1e-9)
    for shape, value in ((0.5, 0.1), (3, 20.0), (9.5, 2.0), (120, 100), (2, 800)):
        assert upper_gamma(shape, value) == pytest.approx(chi2.sf(2 * value, 2 * shape), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("table", [(0, 100, 5, 100), (3, 40, 9, 60), (95, 100, 99, 100), (1, 1000, 12, 900), (0, 10, 0, 10)])
def test_shares_with_few_rows_are_compared_exactly_as_by_scipy(table: tuple[int, int, int, int]) -> None:
    from scipy.stats import fisher_exact

    before, rows_before, now, rows_now = table
    expected = fisher_exact([[before, rows_before - before], [now, rows_now - now]]).pvalue
    assert equal_shares(before, rows_before, now, rows_now) == pytest.approx(expected, rel=1e-6)


def test_effects_have_signs_and_need_something_to_measure_against() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(10, 2, 20_000)
    edges = choose_edges(values)
    before, wider, outliers = counted(values, edges), counted(10 + (values - 10) * 1.1, edges), counted(np.where(np.arange(20_000) % 200, values, 1e4), edges)
    assert standardised_mean_difference(before, counted(values - 1, edges)) == pytest.approx(-0.5, abs=0.02)
    assert spread_change(before, wider) == pytest.approx(np.log(1.1), abs=0.01)
    assert abs(spread_change(before, outliers) or 0) < 0.02
    shares = tail_shares(before, outliers)
    assert shares is not None
    assert shares[1] - shares[0] == pytest.approx(100, abs=3)
    constant = counted(np.full(100, 0.1), choose_edges(np.full(100, 0.1)))
    assert standardised_mean_difference(constant, before) is None
    assert spread_change(constant, constant) is None
    assert tail_shares(constant, constant) is None


def test_moments_of_chunks_are_those_of_the_whole() -> None:
    values = np.random.default_rng(2).normal(1e6, 1, 5000)
    counts = NumberCounts(choose_edges(values))
    for chunk in np.array_split(values, 7):
        counts.add(chunk, nulls=1)
    assert (counts.rows, counts.missing) == (5007, 7)
    assert counts.mean == pytest.approx(values.mean(), rel=1e-12)
    assert counts.deviation == pytest.approx(values.std(ddof=1), rel=1e-9)


@pytest.mark.parametrize(
    ("worst", "share", "expected"),
    [
        ("severe", 1.0, "severe"),
        ("severe", 0.25, "severe"),
        ("severe", 0.125, "moderate"),
        ("severe", 0.05, "slight"),
        ("moderate", 0.5, "moderate"),
        ("slight", 1.0, "slight"),
    ],
)
def test_the_severity_of_a_dataset_is_its_worst_held_down_by_the_share(worst: str, share: float, expected: str) -> None:
    assert dataset_severity(worst, share, DriftSettings()) == expected


def test_alibi_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DriftSettings().second_detector() == "alibi"
    monkeypatch.setattr(settings, "find_spec", lambda _name: None)
    assert DriftSettings().second_detector() == "classifier"
    assert DriftSettings(detectors="profile").second_detector() == "none"
    with pytest.raises(MissingExtraError, match=r"kfp-evergreen\[alibi\]"):
        DriftSettings(detectors="profile,alibi").second_detector()


def test_pytorch_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evergreen.drift.settings.find_spec", lambda name: None if name == "torch" else object())
    for detectors in ("profile,mmd", "profile,lsdd"):
        with pytest.raises(MissingExtraError, match=rf"drift detectors '{detectors}' needs an optional dependency.*kfp-evergreen\[torch\]"):
            read(f"detectors: '{detectors}'").second_detector()


def test_settings_come_in_line_from_a_file_or_are_the_default(tmp_path: Path) -> None:
    (tmp_path / "drift.yaml").write_text("significance: 0.01\n")
    assert read("default") == read("none") == DriftSettings()
    assert read('{"minimum_rows": 50}').minimum_rows == 50
    assert read(str(tmp_path / "drift.yaml")).significance == 0.01


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("significans: 0.1", "Unknown setting 'significans'. Valid settings: detectors, second_stage"),
        ("significance: 2", "significance is 2: .*less than 1"),
        ("jensen_shannon_distance: -1", "jensen_shannon_distance is -1"),
        ("[1, 2]", "is a list: expected a mapping"),
        ("{a: [}", "neither YAML nor JSON"),
        ("/no/such/file.yaml", "file 'file.yaml' does not exist"),
        ("http://host/file.yaml", "inline settings, a path, or gs://"),
    ],
)
def test_settings_that_cannot_be_used_are_named(value: str, message: str) -> None:
    with pytest.raises(DriftError, match=message):
        read(value)
