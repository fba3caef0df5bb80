"""What tests of several rooms need: generated events, and a place for local runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def make_events() -> Callable[..., pd.DataFrame]:
    """Make days of events whose label depends on two of four features; ``shift`` moves the inputs, ``flip`` the relation."""

    def make(*, start: str = "2020-01-01", days: int = 400, per_day: int = 4, seed: int = 0, shift: float = 0.0, flip: bool = False) -> pd.DataFrame:
        random = np.random.default_rng(seed)
        rows = days * per_day
        temperature = random.normal(shift, 1.0, rows)
        pressure = random.normal(0.0, 1.0, rows)
        signal = temperature + 0.5 * pressure + random.normal(0.0, 0.4, rows)
        return pd.DataFrame(
            {
                "time": pd.date_range(start, periods=days, freq="D", tz="UTC").repeat(per_day),
                "temperature": temperature,
                "pressure": pressure,
                "humidity": random.normal(0.0, 1.0, rows),
                "city": random.choice(["Berlin", "Lisbon", "Oslo"], rows),
                "rain": ((signal > 0) != flip).astype(int),
            }
        )

    return make


@pytest.fixture(scope="session", autouse=True)
def soon_given_up() -> Iterator[None]:
    """Wait one second, instead of twenty, for a server that is away: many tests ask one that nobody started. Those of waits set a time of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EVERGREEN_RETRY_SECONDS", "1")
        yield


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for servers that are away as a step on a cluster does, but no longer than a minute, and with shorter pauses at first."""
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "60")
    monkeypatch.setattr("evergreen.storage.retries.service.HALF_OF_FIRST_PAUSE", 0.05)
