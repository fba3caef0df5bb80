"""The drift components: detect_drift, and plan_shards, profile_shard and merge_profiles for large data."""

from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output

from evergreen.images import BASE_IMAGE, DRIFT_IMAGE
from evergreen.pipeline.component import component


@component(image=DRIFT_IMAGE)
def detect_drift(
    reference_data: Input[Dataset],
    current_data: Input[Dataset],
    drift_result: Output[Artifact],
    drift_report: Output[HTML],
    metrics: Output[Metrics],
    target_column: str,
    timestamp_column: str,
    model: Input[Model] = None,
    config: str = "default",
    seed: int = 7,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "detect_drift",
) -> str:
    """Detect whether a window's inputs differ from the data that the champion was fitted on, in which features, and by how much.

    A feature drifts if the change is significant (corrected for the number of tests) and its effect reaches a floor.
    With too few rows, the verdict is "insufficient", never "no drift".

    Args:
        reference_data: Rows that the champion was fitted on, or the file of their profile; absent if there is no champion.
        current_data: Rows of the monitored window, or their profile from merge_profiles.
        target_column: Name of the label column; it is not compared.
        timestamp_column: Name of the event time column; it is not compared.
        model: The champion; if given, its predictions are compared as an additional column.
        config: "default", or drift settings as YAML or JSON, inline or as the path or gs:// URI of a file.
        seed: Seed of the random samples of large datasets.
        ledger_uri: Folder or bucket of the run records; "none" to record nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: "drift", "no drift", "insufficient" or "no champion".
        drift_result: The verdict, its severity, and the tests and effects of every feature, as JSON.
        drift_report: The result as an HTML report.
        metrics: The number and share of features that drifted.
    """
    from evergreen.drift.recorded_step import detect_and_record
    from evergreen.drift.request import DriftOutputs, DriftRequest
    from evergreen.runs.records import StepPlace

    return detect_and_record(
        DriftRequest(reference_data, current_data, target_column, timestamp_column, model, config, seed),
        DriftOutputs(drift_result, drift_report, metrics),
        StepPlace(ledger_uri, run_id, step_name),
    )


@component(image=BASE_IMAGE)
def plan_shards(
    reference_data: Input[Dataset],
    plan: Output[Artifact],
    shards: int,
    target_column: str,
    timestamp_column: str,
    seed: int = 7,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "plan_shards",
) -> list[int]:
    """Divide a large dataset into shards to be profiled by parallel steps, and define the bins that all of them use.

    Args:
        reference_data: Rows that the champion was fitted on, or the file of their profile; absent if there is no champion.
        shards: Number of parallel steps, about one per ten million rows.
        target_column: Name of the label column; it is not compared.
        timestamp_column: Name of the event time column; it is not compared.
        seed: Seed of the random samples; use the same seed for detect_drift.
        ledger_uri: Folder or bucket of the run records; "none" to record nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: The shard numbers, starting at 0, for dsl.ParallelFor.
        plan: The reference's columns and bin edges, as a profile.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.sharding import run_plan_step

        numbers = run_plan_step(
            reference_data=reference_data, plan=plan, shards=shards, target_column=target_column, timestamp_column=timestamp_column, seed=seed
        )
        record.outcome = f"{shards} shards"
        return numbers


@component(image=BASE_IMAGE)
def profile_shard(
    dataset: Input[Dataset],
    plan: Input[Artifact],
    shard_profile: Output[Artifact],
    shard: int,
    shards: int,
    target_column: str,
    timestamp_column: str,
    seed: int = 7,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "profile_shard",
) -> int:
    """Profile one shard of a large dataset in constant memory.

    Args:
        dataset: The whole dataset; only the shard's row groups or CSV files are read.
        plan: The plan from plan_shards.
        shard: Number of the shard, starting at 0.
        shards: Number of shards, as passed to plan_shards.
        target_column: Name of the label column; it is not compared.
        timestamp_column: Name of the event time column; it is not compared.
        seed: Seed of the random samples; the same as for plan_shards.
        ledger_uri: Folder or bucket of the run records; "none" to record nothing. In a loop, all shards would report under the same name.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: Number of rows in the shard.
        shard_profile: Counts, moments and a random sample of the shard's rows.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.sharding import run_shard_step

        rows = run_shard_step(
            dataset=dataset,
            plan=plan,
            shard_profile=shard_profile,
            shard=shard,
            shards=shards,
            target_column=target_column,
            timestamp_column=timestamp_column,
            seed=seed,
        )
        record.outcome = f"{rows} rows"
        return rows


@component(image=BASE_IMAGE)
def merge_profiles(
    shard_profiles: Input[list[Artifact]],
    profile: Output[Dataset],
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "merge_profiles",
) -> int:
    """Merge the profiles of all shards into a profile of the whole dataset, which detect_drift accepts instead of the rows.

    Args:
        shard_profiles: The profiles of all shards from profile_shard.
        ledger_uri: Folder or bucket of the run records; "none" to record nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: Number of rows in the dataset.
        profile: The profile of the whole dataset, with the same counts as if one step had read all rows.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.sharding import run_merge_step

        rows = run_merge_step(shard_profiles=shard_profiles, profile=profile)
        record.outcome = f"{rows} rows"
        return rows
