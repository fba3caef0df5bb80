"""Drift in a window of very many rows, profiled in parallel steps, each of which reads its own part."""

from kfp import dsl

from evergreen import detect_drift, ingest_data, load_champion, merge_profiles, plan_shards, profile_shard, record_run
from evergreen.pipeline.steps import LARGE, step


@dsl.pipeline(
    name="sharded-drift",
    description="Compares a very large window with what the champion was fitted on: profiles it in parallel shards, merges them and judges the whole.",
)
def sharded_drift(
    data_source_uri: str,
    data_timestamp_column: str,
    data_target_column: str,
    model_name: str,
    data_window_end: str = "scheduled",
    data_window_days: int = 30,
    data_excluded_columns: str = "none",
    drift_config: str = "default",
    shards: int = 8,
    seed: int = 7,
    state_tracking_uri: str = "none",
    state_ledger_uri: str = "none",
    secret_name: str = "none",
):
    """Watch the drift of a very large window.

    Args:
        data_source_uri: File, folder, glob or URI of the events.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        model_name: Name of the registered model in MLflow.
        data_window_end: ``scheduled`` (the schedule's slot; without a schedule the newest data), ``latest``, or an ISO time.
        data_window_days: Length of the window that is watched, in days.
        data_excluded_columns: Columns to leave out, separated by commas: keys, leaks. ``none`` for none.
        drift_config: Drift settings as JSON or YAML in line or their URI; ``default`` for the built-in ones.
        shards: Number of parallel steps, about one for every ten million rows.
        seed: Seed of the random samples.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret whose keys every step reads, from files. ``none`` for none.
    """
    run_id = dsl.PIPELINE_JOB_ID_PLACEHOLDER
    recorded = step(
        record_run(model_name=model_name, ledger_uri=state_ledger_uri, run_id=run_id),
        "Record run",
        secret_name=secret_name,
    )
    with dsl.ExitHandler(recorded, name="Watch drift"):
        champion = step(
            load_champion(model_name=model_name, tracking_uri=state_tracking_uri, ledger_uri=state_ledger_uri, run_id=run_id),
            "Load champion",
            secret_name=secret_name,
        )
        window = step(
            ingest_data(
                source_uri=data_source_uri,
                timestamp_column=data_timestamp_column,
                window_end=data_window_end,
                schedule_time=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
                window_days=data_window_days,
                excluded_columns=data_excluded_columns,
                ledger_uri=state_ledger_uri,
                run_id=run_id,
                step_name="ingest_window",
            ),
            "Ingest newest window",
            secret_name=secret_name,
            size=LARGE,
        )
        planned = step(
            plan_shards(
                reference_data=champion.outputs["reference_data"],
                shards=shards,
                target_column=data_target_column,
                timestamp_column=data_timestamp_column,
                seed=seed,
                ledger_uri=state_ledger_uri,
                run_id=run_id,
            ),
            "Plan shards",
            secret_name=secret_name,
        )
        with dsl.ParallelFor(planned.outputs["Output"], name="Profile the window, shard by shard") as shard:
            profiled = step(
                profile_shard(
                    dataset=window.outputs["dataset"],
                    plan=planned.outputs["plan"],
                    shard=shard,
                    shards=shards,
                    target_column=data_target_column,
                    timestamp_column=data_timestamp_column,
                    seed=seed,
                ),
                "Profile shard",
                secret_name=secret_name,
            )
        merged = step(
            merge_profiles(shard_profiles=dsl.Collected(profiled.outputs["shard_profile"]), ledger_uri=state_ledger_uri, run_id=run_id),
            "Merge profiles",
            secret_name=secret_name,
        )
        step(
            detect_drift(
                reference_data=champion.outputs["reference_data"],
                current_data=merged.outputs["profile"],
                target_column=data_target_column,
                timestamp_column=data_timestamp_column,
                model=champion.outputs["model"],
                config=drift_config,
                seed=seed,
                ledger_uri=state_ledger_uri,
                run_id=run_id,
            ),
            "Detect drift",
            secret_name=secret_name,
        )
