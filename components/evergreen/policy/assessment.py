"""Monitoring and decision as a single step: runs the individual steps of continuous_retraining one after another."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evergreen.deployment.recorded_step import load_and_record
from evergreen.drift.recorded_step import detect_and_record
from evergreen.drift.request import DriftOutputs, DriftRequest
from evergreen.ingestion.recorded_step import ingest_and_record
from evergreen.ingestion.request import IngestionRequest
from evergreen.performance.recorded_step import monitor_and_record
from evergreen.performance.request import MonitoringOutputs, MonitoringRequest
from evergreen.policy.recorded_step import decide_and_record
from evergreen.policy.request import DecisionOutputs, DecisionRequest
from evergreen.runs.records import StepPlace
from evergreen.validation.recorded_step import validate_and_record
from evergreen.validation.request import ValidationOutputs, ValidationRequest


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
    columns = (data.target_column, data.timestamp_column)
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
            ledger_uri=ledger_uri,
            run_id=run_id,
            step_name="load_champion",
        )
        window = IngestionRequest(
            data.source_uri,
            data.timestamp_column,
            data.window_end,
            data.schedule_time,
            data.window_days,
            excluded_columns=data.excluded_columns,
            model_name=model_name,
            catch_up=data.catch_up,
        )
        window_end = ingest_and_record(window, dataset, StepPlace(ledger_uri, run_id, "ingest_window"))
        validation = validate_and_record(
            ValidationRequest(dataset, *columns, outputs.champion_contract, data.contract, data.task),
            ValidationOutputs(validated_data, outputs.quarantined_data, contract_used, outputs.validation_report),
            StepPlace(ledger_uri, run_id, "validate_window"),
        )
        detect_and_record(
            DriftRequest(reference_data, validated_data, *columns, outputs.champion, judgement.drift_config, judgement.seed),
            DriftOutputs(outputs.drift_result, outputs.drift_report, outputs.metrics),
            StepPlace(ledger_uri, run_id, "detect_drift"),
        )
        watched = MonitoringRequest(
            outputs.champion,
            outputs.baseline,
            validated_data,
            *columns,
            label_delay_days=data.label_delay_days,
            margin=judgement.margin,
            minimum_rows=judgement.minimum_rows,
            seed=judgement.seed,
            policy_config=judgement.policy_config,
            reference_data=reference_data,
        )
        monitor_and_record(
            watched,
            MonitoringOutputs(outputs.performance_result, outputs.performance_report, outputs.metrics),
            StepPlace(ledger_uri, run_id, "monitor_performance"),
        )
    asked = DecisionRequest(
        outputs.drift_result,
        outputs.performance_result,
        outputs.baseline,
        judgement.policy_config,
        judgement.mode,
        window_end,
        model_name,
        validation,
        judgement.event,
        judgement.feedback,
    )
    return decide_and_record(asked, DecisionOutputs(outputs.decision, outputs.decision_report), StepPlace(ledger_uri, run_id, "decide_retraining"))
