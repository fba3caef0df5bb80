"""Logic of the drift component and its artifacts."""

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
    from evergreen.drift.request import DriftOutputs, DriftRequest
    from evergreen.models.fitted import FittedModel
    from evergreen.results.drift import DriftResult


def run_drift_step(request: DriftRequest, outputs: DriftOutputs) -> DriftResult:
    """Compare the datasets and write the result, the report and the metrics.

    Args:
        request: The datasets to compare, and the settings.
        outputs: Output artifacts.

    Returns:
        The result.

    Raises:
        DriftError: The settings or the data are invalid.
    """
    settings = read_settings(request.config, DriftSettings, parameter="drift_config", error=DriftError)
    if is_present(request.reference_data):
        champion = _champion(request.model)
        compared = detect(
            request.reference_data.path,
            request.current_data.path,
            settings=settings,
            ignored_columns=[request.target_column],
            timestamp_column=request.timestamp_column,
            importances=champion.description.importances if champion else None,
            model=champion,
            seed=request.seed,
        )
        result = compared.result
        page = drift_page(result, settings, compared)
    else:
        result = NO_CHAMPION
        page = drift_page(result, settings, None)
    write_json(outputs.drift_result.path, result.to_json())
    outputs.drift_result.metadata.update({"verdict": result.verdict, "severity": result.severity})
    report = Path(outputs.drift_report.path)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(page, encoding="utf-8")
    write_metrics(outputs.metrics, _numbers(result))
    return result


def _champion(model: Any) -> FittedModel | None:
    if not is_present(model):
        return None
    from evergreen.models.files import load_model

    return load_model(model.path)


def _numbers(result: DriftResult) -> dict[str, float | None]:
    if not result.compared:
        return {}
    return {"features that drifted": sum(feature.drift for feature in result.features), "share of features that drifted": result.share_drifted}
