"""The result of joining labels, as a report and as a step's outputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import PRESENT, is_present, read_frame, write_absent, write_json, write_metrics
from evergreen.data.json_values import plain
from evergreen.data.times import iso_time
from evergreen.performance.label_join import LOGGED, JoinSettings, LabelJoin, join_predictions
from evergreen.performance.prediction_log import PREDICTED_AT, read_prediction_log
from evergreen.performance.report import unlike_section
from evergreen.performance.unlabelled_rows import compare_unlabelled
from evergreen.reporting.page import Section, Table, Tone, render_page
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.runs.records import StepRecord

NO_LOG = LabelJoin("no predictions", "There is no prediction log, so there is nothing to join labels to.")


def run_label_join(
    *,
    prediction_log: Any,
    labels: Any,
    labelled_data: Any,
    join_result: Any,
    join_report: Any,
    metrics: Any,
    settings: JoinSettings,
    record: StepRecord,
) -> LabelJoin:
    """Join labels, compare the unlabelled rows, write all outputs and fill in the step's record.

    Args:
        prediction_log: The log; may be absent.
        labels: The labels; may be absent if there are none yet.
        labelled_data: Output artifact for the predictions with their labels.
        join_result: Output artifact for the JSON.
        join_report: Output artifact for the report.
        metrics: Output artifact for the numbers.
        settings: Columns and horizon.
        record: The step's record.

    Raises:
        PerformanceError: The log, the labels or a setting is invalid.
    """
    if is_present(prediction_log):
        frame, result = join_predictions(read_prediction_log(prediction_log.path), _labels(labels, settings), settings)
        result.unlike = compare_unlabelled(frame, frame[settings.target_column].notna(), left_out=(settings.target_column, settings.timestamp_column))
        Path(labelled_data.path).parent.mkdir(parents=True, exist_ok=True)
        frame.to_parquet(labelled_data.path, index=False)
        labelled_data.metadata.update({PRESENT: True, "rows": len(frame), "rows_labelled": result.labelled})
        if len(frame):
            labelled_data.metadata["predicted_until"] = iso_time(frame[f"{LOGGED}{PREDICTED_AT}"].max())
    else:
        result = NO_LOG
        write_absent(labelled_data)
    write_json(join_result.path, result.to_json())
    join_result.metadata.update({PRESENT: True, "verdict": result.verdict})
    Path(join_report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(join_report.path).write_text(join_page(result), encoding="utf-8")
    record.outcome = result.verdict
    write_metrics(metrics, {"share of predictions with a label": result.labelled / result.rows if result.rows else None})
    record.details = plain(result.to_json())
    record.reports = {"join_report": join_report.uri}
    return result


def _labels(labels: Any, settings: JoinSettings) -> pd.DataFrame:
    if is_present(labels):
        return read_frame(labels.path)
    import pandas as pd

    columns = (settings.key_column, settings.target_column, settings.label_time_column)
    return pd.DataFrame({name: pd.Series(dtype=object) for name in columns if not is_nothing(name)})


def join_page(result: LabelJoin) -> str:
    """Render the result of the join as an HTML page."""
    unlike = result.unlike
    differ = unlike is not None and unlike.verdict == "different"
    tone: Tone = "good" if result.verdict == "joined" and not result.warnings and not differ else "warning"
    sections = [Section("Warnings", bullets=result.warnings)] if result.warnings else []
    counts: list[list[str | float | None]] = [
        ["Predictions", result.rows],
        ["with a label", result.labelled],
        ["without a label", result.unlabelled],
        ["whose label may still arrive", result.pending],
        ["Labels", result.labels],
        ["that repeat another one", result.labels_repeated],
        ["replaced by a newer one", result.labels_replaced],
        ["for keys never predicted", result.labels_unknown_key],
        ["after the horizon", result.labels_late],
        ["older than the prediction", result.labels_before_prediction],
    ]
    sections.append(Section("Numbers", table=Table(["", "Number"], counts, note=f"Horizon: {result.horizon_days:g} days after the prediction.")))
    if unlike is not None:
        sections.append(unlike_section(unlike))
    return render_page("Predictions and their labels", result.sentence, tone, sections)
