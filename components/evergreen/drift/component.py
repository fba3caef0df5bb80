"""The component detect_drift."""

from typing import Optional

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from evergreen.images import DRIFT_IMAGE


@dsl.component(base_image=DRIFT_IMAGE, install_kfp_package=False)
def detect_drift(
    reference_data: Input[Dataset],
    current_data: Input[Dataset],
    drift_result: Output[Artifact],
    drift_report: Output[HTML],
    metrics: Output[Metrics],
    target_column: str,
    timestamp_column: str,
    model: Optional[Input[Model]] = None,
    config: str = "default",
    seed: int = 7,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "detect_drift",
) -> str:
    """Tell whether a window's inputs differ from what the champion was fitted on, in which features, and how much.

    A feature drifts when the change is significant (corrected for the number of tests) and its effect reaches a floor.
    Too few rows is "insufficient", never "no drift".

    Args:
        reference_data: Rows the champion was fitted on, or the file of their profile; absent when there is no champion.
        current_data: Rows of the watched window.
        target_column: Name of the label; it is not compared.
        timestamp_column: Name of the event time; it is not compared.
        model: The champion; with it, its predictions are compared as one more column.
        config: "default", or settings of drift detection as YAML or JSON, in line or as the path or gs:// URI of a file.
        seed: Seed of the random samples of large datasets.
        ledger_uri: Folder or bucket of the run records; "none" records nothing.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: "drift", "no drift", "insufficient" or "no champion".
        drift_result: The verdict, its severity, and every feature's tests and effects, as JSON.
        drift_report: The same for people.
        metrics: Share and number of drifted features, and rows.
    """
    from evergreen.run_log import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.step import run_drift_step

        result = run_drift_step(
            reference_data=reference_data,
            current_data=current_data,
            drift_result=drift_result,
            drift_report=drift_report,
            metrics=metrics,
            target_column=target_column,
            timestamp_column=timestamp_column,
            config=config,
            seed=seed,
            model=model,
        )
        record.outcome = result.verdict
        record.details = result.as_json()
        record.reports = {"drift_report": drift_report.uri}
        return result.verdict
