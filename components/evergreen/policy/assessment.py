"""Monitoring and decision as a single step: runs the individual steps of continuous_retraining one after another."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evergreen.deployment.recorded_step import load_and_record
from evergreen.drift.recorded_step import detect_and_record
from evergreen.ingestion.recorded_step import ingest_and_record
from evergreen.performance.recorded_step import monitor_and_record
from evergreen.policy.recorded_step import decide_and_record
from evergreen.validation.recorded_step import validate_and_record


@dataclass
class PassingArtifact:
    """An artifact passed between parts of the step on its local disk, shaped like a KFP artifact."""

    path: str
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def uri(self) -> str:
        """The path."""
        return self.path


@dataclass(frozen=True)
class AssessmentOutputs:
    """The step's output artifacts, named and documented as in the component."""

    champion: Any
    champion_contract: Any
    baseline: Any
    quarantined_data: Any
    validation_report: Any
    drift_result: Any
    drift_report: Any
    performance_result: Any
    performance_report: Any
    decision: Any
    decision_report: Any
    metrics: Any


@dataclass(frozen=True)
class WatchedData:
    """Which rows are monitored: the parameters of `ingest_data` and `validate_data`, documented in the component."""

    source_uri: str
    timestamp_column: str
    target_column: str
    window_end: str
    schedule_time: str
    window_days: int
    label_delay_days: int
    excluded_columns: str
    catch_up: bool
    contract: str
    task: str


@dataclass(frozen=True)
class Judgement:
    """Settings for drift, performance and the decision, documented in the component."""

    drift_config: str
    policy_config: str
    mode: str
    margin: float
    minimum_rows: int
    seed: int
    event: str
    feedback: Any


def assess(outputs: AssessmentOutputs, data: WatchedData, judgement: Judgement, *, model_name: str, tracking_uri: str, ledger_uri: str, run_id: str) -> str:
    """Load the champion, check the newest window and decide; return ``retrain`` or ``keep``.

    Each part reports under the name it has as a separate step, so records, reports and ledger are the same. If a part fails, its record says so,
    and later parts leave no record.

    Args:
        outputs: Output artifacts for the results.
        data: The monitored window.
        judgement: The settings.
        model_name: Name of the registered model.
        tracking_uri: The MLflow server.
        ledger_uri: Folder or bucket for the ledger and run records, or ``none``.
        run_id: ID of the pipeline run.

    Raises:
        EvergreenError: A part failed.
    """
    reported = {"ledger_uri": ledger_uri, "run_id": run_id}
    columns = {"target_column": data.target_column, "timestamp_column": data.timestamp_column}
    with tempfile.TemporaryDirectory(prefix="evergreen-assessment-") as folder:
        reference_data, dataset, validated_data, contract_used = (
            PassingArtifact(str(Path(folder) / name)) for name in ("reference_data", "dataset", "validated_data", "contract_used")
        )
        load_and_record(
            model=outputs.champion,
            reference_data=reference_data,
            contract=outputs.champion_contract,
            baseline=outputs.baseline,
            model_name=model_name,
            tracking_uri=tracking_uri,
            step_name="load_champion",
            **reported,
        )
        window_end = ingest_and_record(
            dataset=dataset,
            source_uri=data.source_uri,
            timestamp_column=data.timestamp_column,
            window_end=data.window_end,
            schedule_time=data.schedule_time,
            window_days=data.window_days,
            label_delay_days=0,
            excluded_columns=data.excluded_columns,
            model_name=model_name,
            catch_up=data.catch_up,
            step_name="ingest_window",
            **reported,
        )
        validation = validate_and_record(
            dataset=dataset,
            validated_data=validated_data,
            quarantined_data=outputs.quarantined_data,
            contract_used=contract_used,
            validation_report=outputs.validation_report,
            champion_contract=outputs.champion_contract,
            contract=data.contract,
            task=data.task,
            check_target_classes=False,
            step_name="validate_window",
            **columns,
            **reported,
        )
        detect_and_record(
            reference_data=reference_data,
            current_data=validated_data,
            drift_result=outputs.drift_result,
            drift_report=outputs.drift_report,
            metrics=outputs.metrics,
            model=outputs.champion,
            config=judgement.drift_config,
            seed=judgement.seed,
            step_name="detect_drift",
            **columns,
            **reported,
        )
        monitor_and_record(
            model=outputs.champion,
            baseline=outputs.baseline,
            current_data=validated_data,
            performance_result=outputs.performance_result,
            performance_report=outputs.performance_report,
            metrics=outputs.metrics,
            label_delay_days=data.label_delay_days,
            margin=judgement.margin,
            minimum_rows=judgement.minimum_rows,
            seed=judgement.seed,
            policy_config=judgement.policy_config,
            step_name="monitor_performance",
            **columns,
            **reported,
        )
    return decide_and_record(
        drift_result=outputs.drift_result,
        performance_result=outputs.performance_result,
        baseline=outputs.baseline,
        decision=outputs.decision,
        decision_report=outputs.decision_report,
        policy_config=judgement.policy_config,
        mode=judgement.mode,
        window_end=window_end,
        model_name=model_name,
        validation=validation,
        event=judgement.event,
        feedback=judgement.feedback,
        step_name="decide_retraining",
        **reported,
    )
