"""Drift of all features together by alibi-detect's kernel tests, which need PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from evergreen.drift.detection import detect
from evergreen.drift.settings import DriftSettings

if TYPE_CHECKING:
    from evergreen.drift.settings import Detectors


def frame(rows: int, seed: int, *, correlated: bool = False, shift: float = 0.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    one, other = random.normal(size=(2, rows))
    return pd.DataFrame(
        {
            "one": np.where(random.random(rows) < 0.05, np.nan, one + shift),
            "other": np.where(one > 0, np.abs(other), -np.abs(other)) if correlated else other,
            "city": random.choice(["Berlin", "Lisbon", None], rows),
            "empty": np.full(rows, np.nan),
        }
    )


def together(folder: Path, detectors: Detectors, current: pd.DataFrame) -> Any:
    frame(3000, 1).to_parquet(folder / "reference")
    current.to_parquet(folder / "current")
    config = DriftSettings(detectors=detectors)
    return detect(folder / "reference", folder / "current", settings=config).result.multivariate


@pytest.mark.parametrize(("detectors", "method"), [("profile,mmd", "MMDDrift"), ("profile,lsdd", "LSDDDrift")])
def test_a_relation_that_changed_is_found_and_equal_data_is_quiet(tmp_path: Path, detectors: Detectors, method: str) -> None:
    changed = together(tmp_path, detectors, frame(3000, 2, correlated=True))
    assert (changed.verdict, changed.library) == ("drift", "alibi-detect")
    assert changed.method == f"rank correlations and {method}"
    assert changed.p_value < 0.01
    assert changed.distance > 0
    assert f"by {method})" in changed.sentence
    quiet = together(tmp_path, detectors, frame(3000, 3))
    assert quiet.verdict == "no drift"
    assert quiet.p_value > 0.01


def test_the_same_data_gives_the_same_p_value_and_leaves_the_random_state_alone(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    first = together(tmp_path, "profile,mmd", frame(2500, 2, shift=0.1))
    assert torch.rand(2).tolist() == expected
    assert together(tmp_path, "profile,mmd", frame(2500, 2, shift=0.1)) == first
