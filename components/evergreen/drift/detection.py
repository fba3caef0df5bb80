"""Compares two datasets: profiles each in one streamed pass, measures effects, corrects p-values, and reaches a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from evergreen.drift.features import TESTS, conclude, measure_feature
from evergreen.drift.multivariate import changed_correlations, feature_matrix
from evergreen.drift.predictions import predicted_columns
from evergreen.drift.profile.accumulators import CategoryCounts
from evergreen.drift.profile.batches import TableFiles
from evergreen.drift.profile.file import is_profile, read_profile
from evergreen.drift.profile.scan import empty_like, fill_from, plan_profile
from evergreen.drift.profile.table_profile import CURRENT_SAMPLE_ROWS, DatasetProfile
from evergreen.drift.reference import choose_reference
from evergreen.drift.sharding import counted_alike
from evergreen.drift.statistics import corrected_p_values
from evergreen.drift.verdict import conclude_dataset
from evergreen.results.drift import NOT_LOOKED_AT, PREDICTION, DriftResult, FeatureDrift, FeatureMeasurement, MultivariateResult

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from evergreen.drift.alibi_detectors import KernelDetector
    from evergreen.drift.settings import DriftSettings, SecondDetector
    from evergreen.models.fitted import FittedModel

KERNEL_DETECTORS: dict[SecondDetector, KernelDetector] = {"mmd": "MMDDrift", "lsdd": "LSDDDrift"}

NO_CHAMPION = DriftResult("no champion", "none", "There is no champion yet, so there is no reference data to compare with.")


@dataclass(frozen=True)
class DriftComparison:
    """A result and the two profiles it is based on, for figures."""

    result: DriftResult
    reference: DatasetProfile
    current: DatasetProfile


def profile_dataset(path: str | Path, *, ignored_columns: Collection[str] = (), timestamp_column: str = "", seed: int = 7) -> DatasetProfile:
    """Profile a dataset in one streamed pass.

    Args:
        path: A Parquet or CSV file, or a folder of them.
        ignored_columns: Columns not to profile, such as the label and keys.
        timestamp_column: Name of the event time column, which is not profiled; the sample keeps its values, so that a season can be selected.
        seed: Seed of the random sample.

    Raises:
        DriftError: The dataset cannot be read.
    """
    source = TableFiles(path)
    return fill_from(plan_profile(source, ignored_columns={*ignored_columns, timestamp_column}, seed=seed), source, timestamp_column)


def detect(
    reference_path: str | Path,
    current_path: str | Path,
    *,
    settings: DriftSettings,
    ignored_columns: Collection[str] = (),
    timestamp_column: str = "",
    importances: dict[str, float] | None = None,
    model: FittedModel | None = None,
    seed: int = 7,
) -> DriftComparison:
    """Compare current data with a reference, or with its rows of the same season (see `evergreen.drift.reference`).

    Args:
        reference_path: The reference data: a dataset, or the file of its profile.
        current_path: The current data: a dataset, or the file of its profile, counted with the reference's bin edges.
        settings: The drift settings.
        ignored_columns: Columns not to compare, such as the label and keys.
        timestamp_column: Name of the event time column; it is not compared.
        importances: Importance of each feature to the champion; None to use those of the profile.
        model: The champion, to compare its predictions as an additional column.
        seed: The random seed.

    Raises:
        DriftError: A dataset or profile is invalid, or a column is missing from the current data or has another kind there.
        MissingExtraError: alibi-detect is required but not installed.
    """
    second = settings.second_detector()
    ignored = {*ignored_columns, timestamp_column}
    whole, current, source = _profiles(reference_path, current_path, ignored_columns=ignored, timestamp_column=timestamp_column, seed=seed)
    chosen = choose_reference(whole, current, source, settings, timestamp_column=timestamp_column, seed=seed)
    reference = chosen.profile
    left_out = _leave_out(whole, reference, current, settings)
    rows = {"reference": reference.rows, "current": current.rows}
    measured = [measure_feature(name, counts, current.columns[name], settings=settings) for name, counts in reference.columns.items()]
    predicted = None if model is None else predicted_columns(model, reference, current)
    if isinstance(predicted, str):
        left_out[PREDICTION] = predicted
        predicted = None
    if predicted is not None:
        measured.append(measure_feature(PREDICTION, *predicted, settings=settings))
    features = _conclusions(measured, settings)
    quiet = not any(feature.drift for feature in features)
    prediction = None if predicted is None else features.pop()
    together = NOT_LOOKED_AT
    if quiet or settings.second_stage == "always":
        together = look_together(reference, current, settings, second=second, seed=seed)
    if predicted is not None:
        # Added only now, because the samples that were tested jointly contain no predictions.
        reference.columns[PREDICTION], current.columns[PREDICTION] = predicted
    known = importances or reference.importances
    result = conclude_dataset(
        features,
        rows,
        settings=settings,
        together=together,
        left_out=left_out,
        importances=known,
        prediction=prediction,
        compared_with=chosen.words,
    )
    return DriftComparison(result, reference, current)


def _profiles(
    reference_path: str | Path, current_path: str | Path, *, ignored_columns: Collection[str], timestamp_column: str, seed: int
) -> tuple[DatasetProfile, DatasetProfile, TableFiles | None]:
    """Return the profiles of all reference rows and of the current data, and the reference rows unless only their profile is known."""
    current = read_profile(current_path) if is_profile(current_path) else TableFiles(current_path)
    source = None if is_profile(reference_path) else TableFiles(reference_path)
    if source is None:
        reference = read_profile(reference_path)
        for name in ignored_columns:
            reference.columns.pop(name, None)
    else:
        reference = fill_from(plan_profile(source, ignored_columns=ignored_columns, seed=seed), source, timestamp_column)
    if isinstance(current, DatasetProfile):
        return reference, counted_alike(current, reference), source
    profile = empty_like(reference, current.schema, seed=seed + 1, sample_rows=CURRENT_SAMPLE_ROWS, ignored_columns=ignored_columns)
    return reference, fill_from(profile, current, timestamp_column), source


def _leave_out(whole: DatasetProfile, reference: DatasetProfile, current: DatasetProfile, settings: DriftSettings) -> dict[str, str]:
    """Remove columns that cannot be compared from both profiles, and return the reasons.

    A season has fewer rows, among which an ordinary category may look like an identifier, so all reference rows are asked.
    """
    left_out = {**whole.left_out, **current.left_out}
    for name, counts in list(whole.columns.items()):
        if isinstance(counts, CategoryCounts) and (reason := _too_many_categories(counts, settings)):
            left_out[name] = reason
            for profile in (reference, current):
                profile.columns.pop(name)
    return left_out


def _too_many_categories(counts: CategoryCounts, settings: DriftSettings) -> str:
    distinct = len(counts.counts)
    if distinct > settings.maximum_categories:
        more = " at least" if counts.remainder else ""
        return f"{more} {distinct:,} distinct values in the reference, more than {settings.maximum_categories}".strip()
    if counts.values >= settings.minimum_rows and distinct > counts.values / 2:
        return f"{distinct:,} distinct values in {counts.values:,} reference values: looks like an identifier rather than a category"
    return ""


def _conclusions(measured: list[FeatureMeasurement], settings: DriftSettings) -> list[FeatureDrift]:
    # One family of tests: values, missing values if there are any, and tails if there are any.
    tested = [(index, test) for index, feature in enumerate(measured) for test in TESTS if getattr(feature, test) is not None]
    corrected: list[dict[str, float]] = [{} for _ in measured]
    for (index, test), p_value in zip(tested, corrected_p_values([getattr(measured[index], test) for index, test in tested]), strict=True):
        corrected[index][test] = p_value
    return [conclude(feature, p_values, settings) for feature, p_values in zip(measured, corrected, strict=True)]


def look_together(reference: DatasetProfile, current: DatasetProfile, settings: DriftSettings, *, second: SecondDetector, seed: int) -> MultivariateResult:
    """Test all features jointly on the samples.

    Args:
        reference: Profile of the reference data.
        current: Profile of the current data.
        settings: Floors and significance.
        second: ``none`` (rank correlations only), ``classifier``, ``alibi``, ``mmd`` or ``lsdd``.
        seed: The random seed.
    """
    rows = reference.sample.rows, current.sample.rows
    if min(rows) < settings.minimum_rows_together:
        return MultivariateResult(
            "insufficient",
            sentence=f"{rows[0]:,} and {rows[1]:,} rows are too few to test all features together; {settings.minimum_rows_together} are needed.",
        )
    result = MultivariateResult("no drift", "rank correlations", "evergreen", rows=sum(rows))
    result.correlations = changed_correlations(reference, current, settings)
    if second != "none" and reference.columns:
        tables = reference.sample.state()[0], current.sample.state()[0]
        _classify(result, reference, (feature_matrix(tables[0], reference), feature_matrix(tables[1], reference)), settings, second=second, seed=seed)
    found = bool(result.correlations) or (
        result.p_value is not None and result.p_value < settings.significance and (result.auc or 0) >= settings.classifier_auc
    )
    result.verdict = "drift" if found else "no drift"
    result.sentence = _together_sentence(result)
    return result


def _classify(
    result: MultivariateResult,
    reference: DatasetProfile,
    matrices: tuple[NDArray[np.float64], NDArray[np.float64]],
    settings: DriftSettings,
    *,
    second: SecondDetector,
    seed: int,
) -> None:
    from evergreen.drift.domain_classifier import TOP_FEATURES, balanced_rows, classifier_test

    before, now = balanced_rows(*matrices, seed=seed)
    result.p_value, result.auc, importances = classifier_test(before, now, seed=seed)
    result.method, result.library, result.rows = "rank correlations and a classifier two-sample test", "scikit-learn", 2 * len(before)
    names = list(reference.columns)
    if result.auc >= settings.classifier_auc and importances.sum() > 0:
        shares = sorted(zip(names, (importances / importances.sum()).tolist(), strict=True), key=lambda entry: -entry[1])
        result.features = dict(shares[:TOP_FEATURES])
    categories = [isinstance(counts, CategoryCounts) for counts in reference.columns.values()]
    if second in KERNEL_DETECTORS:
        from evergreen.drift.alibi_detectors import kernel_drift

        # The classifier above still provides the size of the change and the features involved.
        detector = KERNEL_DETECTORS[second]
        result.method, result.library = f"rank correlations and {detector}", "alibi-detect"
        result.p_value, result.distance = kernel_drift(before, now, detector=detector, categories=categories, significance=settings.significance, seed=seed)
    if second == "alibi":
        from evergreen.drift.alibi_detectors import classifier_drift, tabular_drift

        result.method, result.library = "rank correlations and ClassifierDrift", "alibi-detect"
        result.p_value = classifier_drift(before, now, significance=settings.significance, seed=seed)
        p_values = tabular_drift(before, now, categories=categories)
        result.tabular_p_values = {name: p_value for name, p_value in zip(names, p_values, strict=True) if p_value is not None}


def _together_sentence(result: MultivariateResult) -> str:
    parts = []
    if result.auc is not None and result.p_value is not None:
        test = "" if result.distance is None else f" by {result.method.rpartition(' ')[2]}"
        parts.append(
            f"a classifier distinguishes reference from current rows with an area under the curve of {result.auc:.3f} (p = {result.p_value:.2g}{test})"
        )
    if result.correlations:
        change = result.correlations[0]
        parts.append(f"the rank correlation of {change.features[0]} and {change.features[1]} changed from {change.before:.2f} to {change.now:.2f}")
    if not parts:
        return "No rank correlation changed enough to matter."
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
