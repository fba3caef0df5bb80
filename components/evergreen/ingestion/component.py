"""The component ingest_data."""

from kfp.dsl import Artifact, Dataset, Input, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def ingest_data(  # KFP reads the descriptions of outputs under Returns, not under Args
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
    """Take the rows of a half-open window of event time out of files, a bucket or a database.

    The window is [end - label_delay_days - window_days, end - label_delay_days). Taking the same window twice gives the
    same bytes; the dataset carries a fingerprint of its content.

    Args:
        source_uri: File, folder or glob of Parquet, CSV or JSON Lines files (text may be packed with gzip), also gs://bucket/path or s3://bucket/path;
            kafka://broker/topic, kinesis://stream, dvc+https://host/repository.git@revision#path, an SQLAlchemy URL with #table, or env:VARIABLE#table.
        timestamp_column: Column with the event time; without a zone it is UTC.
        window_end: "latest" (everything up to and including the newest event), an ISO time, "scheduled" (the schedule's slot), "scheduled(0 3 * * *)"
            (the last slot of that cron expression, for a schedule that tracks the latest version), or "decision" (where the decision's window ended).
        schedule_time: When the run was scheduled: dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER. With "none" (as on a laptop) "scheduled" means "latest".
        window_days: Length of the window, in days.
        label_delay_days: Days after which labels are complete; the window ends that much earlier.
        excluded_columns: Columns to leave out, separated by commas; "none" for none.
        model_name: The model for which the window is remembered below the ledger, to count late rows and report gaps; "none" remembers nothing.
        catch_up: Whether the window starts where the model's newest earlier one ended, so that a missed schedule loses nothing and reads nothing twice.
        decision: The decision of decide_retraining: the window starts earlier where it says that older rows still teach; without it, it does not.
        ledger_uri: Folder or bucket of the run records; "none" records nothing.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: The end of the window before the label delay is taken off, ISO, UTC.
        dataset: The rows of the window as one Parquet file; the event time has microseconds and the zone UTC.
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
