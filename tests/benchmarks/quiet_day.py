"""A quiet day as a plain script: the functions of the pipeline's steps, called one after the other in one interpreter.

What `local_runs.py` measures a local run against. `python tests/benchmarks/quiet_day.py HOME WINDOW_END SOURCE`, for a home with a champion.
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

# Components are plain functions, and KFP loads only what a step needs, as in a running step.
os.environ["_KFP_RUNTIME"] = "true"

from kfp.dsl import HTML, Artifact, Dataset, Metrics, Model, PipelineTaskFinalStatus

from evergreen import decide_retraining, detect_drift, ingest_data, load_champion, monitor_performance, record_run, validate_data

MODEL = "rain"
COLUMNS = {"target_column": "rain", "timestamp_column": "observed_at"}


def main(home: Path, window_end: str, source: str) -> None:
    """Do what the pipeline does on a day on which nothing has to be done."""
    run_id = str(uuid.uuid4())
    tracking_uri = f"sqlite:///{home / 'mlflow.db'}"
    common = {"ledger_uri": str(home / "ledger"), "run_id": run_id}

    def new(kind: type[Artifact], name: str) -> Artifact:
        path = home / "artifacts" / "quiet-day" / run_id / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return kind(name=path.name, uri=str(path))

    dataset = new(Dataset, "ingest/dataset")
    end = ingest_data(
        dataset=dataset,
        source_uri=source,
        timestamp_column="observed_at",
        window_end=window_end,
        window_days=365,
        model_name=MODEL,
        step_name="ingest_window",
        **common,
    )
    model, reference = new(Model, "champion/model"), new(Dataset, "champion/reference_data")
    contract, baseline = new(Artifact, "champion/contract"), new(Artifact, "champion/baseline")
    load_champion(model=model, reference_data=reference, contract=contract, baseline=baseline, model_name=MODEL, tracking_uri=tracking_uri, **common)
    valid = new(Dataset, "validate/validated_data")
    validation = validate_data(
        dataset=dataset,
        validated_data=valid,
        quarantined_data=new(Dataset, "validate/quarantined_data"),
        contract_used=new(Artifact, "validate/contract_used"),
        validation_report=new(HTML, "validate/validation_report"),
        champion_contract=contract,
        check_target_classes=False,
        step_name="validate_window",
        **COLUMNS,
        **common,
    )
    drift, performance = new(Artifact, "drift/result"), new(Artifact, "performance/result")
    detect_drift(
        reference_data=reference,
        current_data=valid,
        drift_result=drift,
        drift_report=new(HTML, "drift/report"),
        metrics=new(Metrics, "drift/metrics"),
        model=model,
        **COLUMNS,
        **common,
    )
    monitor_performance(
        model=model,
        baseline=baseline,
        current_data=valid,
        reference_data=reference,
        performance_result=performance,
        performance_report=new(HTML, "performance/report"),
        metrics=new(Metrics, "performance/metrics"),
        **COLUMNS,
        **common,
    )
    decision = decide_retraining(
        drift_result=drift,
        performance_result=performance,
        baseline=baseline,
        decision=new(Artifact, "decide/decision"),
        decision_report=new(HTML, "decide/report"),
        window_end=end,
        model_name=MODEL,
        validation=validation,
        **common,
    )
    status = PipelineTaskFinalStatus(
        state="COMPLETE", pipeline_job_resource_name="quiet-day", pipeline_task_name="exit-handler-1", error_code=None, error_message=None
    )
    record_run(
        run_report=new(HTML, "record/report"),
        run_metrics=new(Metrics, "record/metrics"),
        status=status,
        model_name=MODEL,
        tracking_uri=tracking_uri,
        **common,
    )
    print(decision)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), sys.argv[2], sys.argv[3])
