"""The components that compare data with a reference: detect_drift, and for large data plan_shards, profile_shard and merge_profiles."""

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
    """Tell whether a window's inputs differ from what the champion was fitted on, in which features, and how much.

    A feature drifts when the change is significant (corrected for the number of tests) and its effect reaches a floor.
    Too few rows is "insufficient", never "no drift".

    Args:
        reference_data: Rows the champion was fitted on, or the file of their profile; absent when there is no champion.
        current_data: Rows of the watched window, or what merge_profiles made of them.
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
        metrics: How many features drifted, and which share.
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
    """Divide a large dataset into shards that parallel steps profile, and fix how all of them count.

    Args:
        reference_data: Rows the champion was fitted on, or the file of their profile; absent when there is no champion.
        shards: Number of parallel steps, about one for every ten million rows.
        target_column: Name of the label; it is not compared.
        timestamp_column: Name of the event time; it is not compared.
        seed: Seed of the random samples; give detect_drift the same.
        ledger_uri: Folder or bucket of the run records; "none" records nothing.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: The numbers of the shards, from 0 on, for dsl.ParallelFor.
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
    """Profile one shard of a large dataset, in memory that does not grow with it.

    Args:
        dataset: The whole dataset; only the shard's row groups, or CSV files, are read.
        plan: What plan_shards made.
        shard: Number of the shard, from 0 on.
        shards: Number of shards, as plan_shards was told.
        target_column: Name of the label; it is not compared.
        timestamp_column: Name of the event time; it is not compared.
        seed: Seed of the random samples, the same as plan_shards'.
        ledger_uri: Folder or bucket of the run records; "none" records nothing. In a loop, all shards would report under one name.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: Rows of the shard.
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
    """Merge the profiles of all shards to that of the whole, which detect_drift takes in place of the rows.

    Args:
        shard_profiles: What profile_shard made of each shard.
        ledger_uri: Folder or bucket of the run records; "none" records nothing.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: Rows of the whole.
        profile: The profile of the whole: the same counts as if one step had read all rows.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.drift.sharding import run_merge_step

        rows = run_merge_step(shard_profiles=shard_profiles, profile=profile)
        record.outcome = f"{rows} rows"
        return rows
