"""Detects drift in a very large window by profiling it in parallel steps, each of which reads its own shard."""

from kfp import dsl

from evergreen import detect_drift, ingest_data, load_champion, merge_profiles, plan_shards, profile_shard, record_run
from evergreen.pipeline.step_factory import StepFactory
from evergreen.pipeline.steps import LARGE


@dsl.pipeline(
    name="sharded-drift",
    description="Compares a very large window with the champion's training data: profiles it in parallel shards, merges the profiles and judges the result.",
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
    """Detect drift in a very large window.

    Args:
        data_source_uri: File, folder, glob or URI of the data.
        data_timestamp_column: Column with the event time.
        data_target_column: Column with the label.
        model_name: Name of the registered model in MLflow.
        data_window_end: ``scheduled`` (the schedule's slot, or the newest data without a schedule), ``latest``, or an ISO time.
        data_window_days: Length of the monitored window in days.
        data_excluded_columns: Columns to omit, such as keys or leaks, separated by commas; ``none`` for none.
        drift_config: Drift settings as inline JSON or YAML or their URI; ``default`` for the default settings.
        shards: Number of parallel steps, about one per ten million rows.
        seed: Random seed for sampling.
        state_tracking_uri: Address of the MLflow server.
        state_ledger_uri: Folder or bucket of the ledger.
        secret_name: Kubernetes secret that is mounted as files into every step; ``none`` for none.
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
