"""The component ingest_data."""

from kfp.dsl import Artifact, Dataset, Input, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def ingest_data(  # KFP reads output descriptions from Returns, not from Args
    dataset: Output[Dataset],
    source_uri: str,
    timestamp_column: str,
    window_end: str = "latest",
    schedule_time: str = "none",
    window_days: int = 30,
    label_delay_days: int = 0,
    excluded_columns: str = "none",
    model_name: str = "none",
    catch_up: bool = False,
    decision: Input[Artifact] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "ingest_data",
) -> str:
    """Read the rows of a half-open window of event time from files, a bucket, a stream or a database.

    The window is [end - label_delay_days - window_days, end - label_delay_days). Reading the same window twice produces
    identical bytes; the dataset includes a fingerprint of its content.

    Args:
        source_uri: File, folder or glob of Parquet, CSV or JSON Lines files (text may be gzip-compressed), also gs://bucket/path or s3://bucket/path;
            kafka://broker/topic, kinesis://stream, dvc+https://host/repository.git@revision#path, an SQLAlchemy URL with #table, or env:VARIABLE#table.
        timestamp_column: Column with the event time; times without a time zone are UTC.
        window_end: "latest" (everything up to and including the newest event), an ISO time, "scheduled" (the schedule's slot), "scheduled(0 3 * * *)"
            (the last slot of that cron expression, for a schedule that tracks the latest version), or "decision" (the end of the decision's window).
        schedule_time: When the run was scheduled: dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER. With "none" (as on a laptop), "scheduled" means "latest".
        window_days: Length of the window in days.
        label_delay_days: Days after which labels are complete; the window ends that much earlier.
        excluded_columns: Columns to omit, separated by commas; "none" for none.
        model_name: Model for which the window is recorded below the ledger, to count late rows and report gaps; "none" to record nothing.
        catch_up: Whether the window starts where the model's newest earlier window ended, so that missed runs lose no rows and read none twice.
        decision: Decision of decide_retraining: the window starts earlier if the decision says that older rows are still useful for training.
        ledger_uri: Folder or bucket of the run records; "none" to record nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: The end of the window before the label delay is subtracted, ISO, UTC.
        dataset: The rows of the window as one Parquet file; the event time has microsecond precision in UTC.
    """
    from evergreen.ingestion.recorded_step import ingest_and_record
    from evergreen.ingestion.request import IngestionRequest
    from evergreen.runs.records import StepPlace

    request = IngestionRequest(
        source_uri,
        timestamp_column,
        window_end,
        schedule_time,
        window_days,
        label_delay_days,
        excluded_columns,
        model_name,
        catch_up,
        decision,
    )
    return ingest_and_record(request, dataset, StepPlace(ledger_uri, run_id, step_name))
