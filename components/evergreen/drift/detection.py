"""Compare two datasets: read, sample, measure, correct, conclude."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.artifacts import open_table
from evergreen.drift.columns import compared_columns, read_sample
from evergreen.drift.features import FeatureDrift, Measured, conclude, measure_feature
from evergreen.drift.tabular_tests import choose_tests, corrected_p_values
from evergreen.drift.verdict import DriftResult, conclude_dataset

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from evergreen.drift.config import DriftConfig

NO_CHAMPION = DriftResult("no champion", "none", "There is no champion yet, so there is no reference to compare with.")


def detect(
    reference_path: str | Path, current_path: str | Path, *, target_column: str, timestamp_column: str, config: DriftConfig, seed: int
) -> tuple[DriftResult, pd.DataFrame, pd.DataFrame]:
    """Compare the rows of a window with what the champion was fitted on.

    Args:
        reference_path: Tabular artifact of the reference.
        current_path: Tabular artifact of the window.
        target_column: The label; it is not compared.
        timestamp_column: The event time; it is not compared.
        config: What counts as drift.
        seed: Seed of the samples.

    Returns:
        The result, and the two samples, for the report's figures.

    Raises:
        ArtifactError: One of the datasets cannot be read.
        DriftError: A column is missing from the current data, has another type there, or holds infinite values.
        MissingExtraError: alibi-detect is asked for and not installed.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    tables = open_table(reference_path), open_table(current_path)
    kinds, left_out = compared_columns(tables[0].schema, tables[1].schema, target_column=target_column, timestamp_column=timestamp_column)
    reference, current = (read_sample(table, list(kinds), rows=config.sample_rows, generator=generator) for table in tables)
    rows = {
        "reference": reference.rows,
        "current": current.rows,
        "reference_sampled": len(reference.frame),
        "current_sampled": len(current.frame),
    }
    for name, kind in list(kinds.items()):
        if kind == "category" and (reason := _too_many_categories(reference.frame[name], config)):
            left_out[name] = reason
            del kinds[name]
    enough = min(rows["reference"], rows["current"]) >= config.minimum_rows
    tests = choose_tests(config.library)
    measured = [measure_feature(name, kind, reference.frame[name], current.frame[name], config=config, tests=tests) for name, kind in kinds.items() if enough]
    result = conclude_dataset(_conclusions(measured, config), rows, config=config, library=tests.library, left_out=left_out)
    return result, reference.frame, current.frame


def _conclusions(measured: list[Measured], config: DriftConfig) -> list[FeatureDrift]:
    # One family of tests: those of the values, and those of missing values where any are missing.
    tested = [(index, name) for index, feature in enumerate(measured) for name in ("p_value", "p_value_missing") if getattr(feature, name) is not None]
    corrected = dict(zip(tested, corrected_p_values([getattr(measured[index], name) for index, name in tested]), strict=True))
    return [conclude(feature, corrected.get((index, "p_value")), corrected.get((index, "p_value_missing")), config) for index, feature in enumerate(measured)]


def _too_many_categories(values: pd.Series, config: DriftConfig) -> str:
    present = values.dropna()
    distinct = int(present.nunique())
    if distinct > config.maximum_categories:
        return f"{distinct:,} distinct texts in the reference, more than {config.maximum_categories}"
    if len(present) >= config.minimum_rows and distinct > len(present) / 2:
        return f"{distinct:,} distinct texts in {len(present):,} reference values: more like a name than a category"
    return ""
