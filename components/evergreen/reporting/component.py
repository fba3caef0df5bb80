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
    """Record what a run did, whatever happened; the exit handler of a pipeline.

    Args:
        status: How KFP says the run ended; recorded, but the outcome comes from what the steps wrote.
        model_name: The registered model.
        tracking_uri: The MLflow server, shown in the report.
        ledger_uri: Folder or bucket of the run records and of the summary; "none" writes the report only.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        run_report: What happened, for people.
        run_metrics: The outcome, which stands in a name because KFP's metrics are numbers, and the decisive numbers.
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
        record.reports = {"run_report": run_report.uri}
