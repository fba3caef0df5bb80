"""Drift in a window of very many rows, profiled in parallel steps, each of which reads its own part."""

from kfp import dsl

from evergreen import detect_drift, ingest_data, load_champion, merge_profiles, plan_shards, profile_shard, record_run
from evergreen.pipeline.step_factory import StepFactory
from evergreen.pipeline.steps import LARGE


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
    step = StepFactory(ledger_uri=state_ledger_uri, secret_name=secret_name)
    with dsl.ExitHandler(step("Record run", record_run, model_name=model_name), name="Watch drift"):
        champion = step("Load champion", load_champion, model_name=model_name, tracking_uri=state_tracking_uri)
        window = step(
            "Ingest window",
            ingest_data,
            source_uri=data_source_uri,
            timestamp_column=data_timestamp_column,
            window_end=data_window_end,
            schedule_time=dsl.PIPELINE_JOB_SCHEDULE_TIME_UTC_PLACEHOLDER,
            window_days=data_window_days,
            excluded_columns=data_excluded_columns,
            size=LARGE,
        )
        planned = step(
            "Plan shards",
            plan_shards,
            reference_data=champion.outputs["reference_data"],
            shards=shards,
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            seed=seed,
        )
        with dsl.ParallelFor(planned.outputs["Output"], name="Profile the window, shard by shard") as shard:
            profiled = step(
                "Profile shard",
                profile_shard,
                dataset=window.outputs["dataset"],
                plan=planned.outputs["plan"],
                shard=shard,
                shards=shards,
                target_column=data_target_column,
                timestamp_column=data_timestamp_column,
                seed=seed,
                reports=False,
            )
        merged = step("Merge profiles", merge_profiles, shard_profiles=dsl.Collected(profiled.outputs["shard_profile"]))
        step(
            "Detect drift",
            detect_drift,
            reference_data=champion.outputs["reference_data"],
            current_data=merged.outputs["profile"],
            target_column=data_target_column,
            timestamp_column=data_timestamp_column,
            model=champion.outputs["model"],
            config=drift_config,
            seed=seed,
        )
