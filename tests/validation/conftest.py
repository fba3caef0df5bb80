"""A short way to validate a frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from kfp import dsl

from evergreen import validate_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def good_frame(rows: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "time": pd.date_range("2024-01-01", periods=rows, freq="h", tz="UTC"),
            "temperature": random.uniform(0.0, 10.0, rows),
            "visits": random.integers(0, 50, rows),
            "city": random.choice(["Oslo", "Rome"], rows),
            "rain": random.integers(0, 2, rows),
        }
    )


@dataclass
class Artifacts:
    """The artifacts of one validation."""

    dataset: Any
    validated_data: Any
    quarantined_data: Any
    contract_used: Any
    validation_report: Any
    outcome: str = field(default="")


@pytest.fixture
def validate(tmp_path: Path) -> Callable[..., Artifacts]:
    """Run the component on a frame; the artifacts are also at ``validate.last`` when it raises."""

    def run(frame: pd.DataFrame, *, metadata: dict[str, Any] | None = None, **options: Any) -> Artifacts:
        frame.to_parquet(tmp_path / "dataset", index=False)
        made = Artifacts(
            dsl.Dataset(name="dataset", uri=str(tmp_path / "dataset"), metadata=metadata or {}),
            dsl.Dataset(name="validated", uri=str(tmp_path / "out" / "validated"), metadata={}),
            dsl.Dataset(name="quarantined", uri=str(tmp_path / "out" / "quarantined"), metadata={}),
            dsl.Artifact(name="contract", uri=str(tmp_path / "out" / "contract"), metadata={}),
            dsl.HTML(name="report", uri=str(tmp_path / "out" / "report"), metadata={}),
        )
        run.last = made
        arguments = {"target_column": "rain", "timestamp_column": "time", **options}
        made.outcome = validate_data.python_func(
            dataset=made.dataset,
            validated_data=made.validated_data,
            quarantined_data=made.quarantined_data,
            contract_used=made.contract_used,
            validation_report=made.validation_report,
            **arguments,
        )
        return made

    return run
