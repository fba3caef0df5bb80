"""What the component does with its artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present, write_json, write_metrics
from evergreen.drift.detection import NO_CHAMPION, detect
from evergreen.drift.errors import DriftError
from evergreen.drift.report import drift_page
from evergreen.drift.settings import DriftSettings
from evergreen.settings.reading import read_settings

if TYPE_CHECKING:
    from evergreen.drift.verdict import DriftResult
    from evergreen.models.fitted import FittedModel

COMPARED = ("drift", "no drift")
"""Verdicts that tell how many features drifted."""


def run_drift_step(
    *,
    reference_data: Any,
    current_data: Any,
    drift_result: Any,
    drift_report: Any,
    metrics: Any,
    target_column: str,
    timestamp_column: str,
    config: str,
    seed: int,
    model: Any = None,
) -> DriftResult:
    """Compare the datasets and write result, report and metrics.

    Args:
        reference_data: Dataset artifact; may be absent.
        current_data: Dataset artifact.
        drift_result: Output artifact of the JSON.
        drift_report: Output artifact of the page.
        metrics: Output artifact of the numbers.
        target_column: The label.
        timestamp_column: The event time.
        config: The ``config`` parameter.
        seed: Seed of the samples.
        model: The champion's model artifact, to compare its predictions too; may be absent.

    Returns:
        The result.

    Raises:
        DriftError: The configuration or the data cannot be used.
    """
    settings = read_settings(config, DriftSettings, parameter="drift_config", error=DriftError)
    if is_present(reference_data):
        champion = _champion(model)
        compared = detect(
            reference_data.path,
            current_data.path,
            settings=settings,
            ignored_columns=[target_column],
            timestamp_column=timestamp_column,
            importances=champion.description.importances if champion else None,
            model=champion,
            seed=seed,
        )
        result = compared.result
        page = drift_page(result, settings, compared)
    else:
        result = NO_CHAMPION
        page = drift_page(result, settings, None)
    write_json(drift_result.path, result.as_json())
    drift_result.metadata.update({"verdict": result.verdict, "severity": result.severity})
    Path(drift_report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(drift_report.path).write_text(page, encoding="utf-8")
    write_metrics(metrics, _numbers(result))
    return result


def _champion(model: Any) -> FittedModel | None:
    if not is_present(model):
        return None
    from evergreen.models.files import load_model

    return load_model(model.path)


def _numbers(result: DriftResult) -> dict[str, float]:
    # "Cannot tell" is not "none drifted".
    if result.verdict not in COMPARED:
        return {}
    return {"features that drifted": sum(feature.drift for feature in result.features), "share of features that drifted": result.share_drifted}
