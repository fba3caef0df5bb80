"""The component record_run."""

from kfp import dsl
from kfp.dsl import HTML, Metrics, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def record_run(
    run_report: Output[HTML],
    run_metrics: Output[Metrics],
    status: dsl.PipelineTaskFinalStatus,
    model_name: str,
    tracking_uri: str = "none",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "record_run",
) -> None:
    """Record the outcome of a run, whether it succeeded or failed; the exit handler of a pipeline.

    Args:
        status: Final status reported by KFP. It is recorded, but the outcome is derived from the records of the steps.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server, shown in the report.
        ledger_uri: Folder or bucket for the run records and the summary; "none" writes only the report.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        run_report: The run as an HTML report.
        run_metrics: The outcome, contained in a metric's name because KFP metrics are numbers, and the decisive numbers.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.reporting.step import run_record_step

        summary = run_record_step(
            run_report=run_report,
            metrics=run_metrics,
            status=status,
            model_name=model_name,
            tracking_uri=tracking_uri,
            ledger_uri=ledger_uri,
            run_id=run_id,
            step_name=step_name,
        )
        record.outcome = summary.outcome
        record.details = {"repair": summary.to_json()["repair"]}
        record.reports = {"run_report": run_report.uri}
