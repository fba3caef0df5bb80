"""The decision step: reads its input artifacts, decides, and writes the results."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present, read_json, write_json
from evergreen.policy.decision import Decision, decide
from evergreen.policy.evidence import Evidence
from evergreen.policy.history import read_history
from evergreen.policy.policy_file import read_policy
from evergreen.policy.report import decision_page
from evergreen.registry.champion import open_ledger
from evergreen.registry.keeping import NO_REASON, record_kept_champion, version_of
from evergreen.registry.record import PROMOTION, RETRAINING, ROLLBACK, WAITING, Entry
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.policy.feedback_settings import FeedbackSettings
    from evergreen.registry.ledger import Ledger

LEFT_OUT = ("policy",)
ENDS_A_ROLLOUT = (PROMOTION, ROLLBACK)


def run_decision_step(
    *,
    drift_result: Any,
    performance_result: Any,
    baseline: Any,
    decision: Any,
    decision_report: Any,
    policy_config: str,
    mode: str,
    window_end: str,
    model_name: str = "none",
    validation: str = "passed",
    event: str = "none",
    feedback: Any = None,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "decide_retraining",
) -> Decision:
    """Decide, write the decision and its report, and record the retraining or the kept champion in the model's ledger.

    Args:
        drift_result: Result artifact of detect_drift.
        performance_result: Result artifact of monitor_performance.
        baseline: The champion's baseline; may be absent.
        decision: Output artifact for the JSON.
        decision_report: Output artifact for the report.
        policy_config: The policy parameter.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the monitored window, ISO, or ``latest``.
        model_name: Name of the registered model, whose ledger holds earlier decisions; ``none`` decides without them.
        validation: Outcome of validate_data.
        event: An event that calls for a retraining; ``none`` uses the policy's event.
        feedback: Artifact of read_feedback. If absent, feedback is read from the source in the policy, if set.
        ledger_uri: Folder or bucket for the ledger, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.

    Returns:
        The decision.

    Raises:
        ArtifactError: A result cannot be read.
        PolicyError: The policy, the mode or a verdict is invalid.
        LedgerError: The ledger cannot be read.
        IngestionError: The feedback source in the policy cannot be read.
        PerformanceError: The feedback in it is invalid.
    """
    policy = read_policy(policy_config)
    champion = {**read_json(baseline.path), "present": True} if is_present(baseline) else {"present": False}
    ledger = None if is_nothing(model_name) else open_ledger(ledger_uri, model_name)
    evidence = Evidence(
        read_json(drift_result.path),
        read_json(performance_result.path),
        champion,
        mode,
        window_end,
        history=read_history(ledger, run_id=run_id),
        validation=validation,
        event=policy.event if is_nothing(event) else event,
        rollout_under_way=_rollout_under_way(ledger),
        feedback=_feedback(feedback, policy.feedback, window_end),
    )
    made = decide(evidence, policy)
    write_json(decision.path, made.as_json())
    decision.metadata.update({"decision": made.decision, "rule": made.rule, "alert": made.alert})
    Path(decision_report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(decision_report.path).write_text(decision_page(made), encoding="utf-8")
    if ledger is not None and made.decision == "keep":
        record_kept_champion(
            reason=NO_REASON,
            model_name=model_name,
            champion_version=version_of(baseline, champion),
            evidence_path=decision.path,
            ledger_uri=ledger_uri,
            run_id=run_id,
            step_name=step_name,
        )
    if ledger is not None and made.decision == "retrain":
        recorded = {name: value for name, value in made.as_json().items() if name not in LEFT_OUT}
        ledger.append(Entry(RETRAINING, run_id=run_id, step_name=step_name, evidence={**recorded, "sentence": " ".join(made.reasons)}))
    return made


def _feedback(artifact: Any, settings: FeedbackSettings, window_end: str) -> dict[str, Any]:
    if is_present(artifact):
        return read_json(artifact.path)
    if is_nothing(settings.source_uri):
        return {}
    from evergreen.performance.feedback import read_feedback_window

    read, _ = read_feedback_window(settings.source_uri, timestamp_column=settings.timestamp_column, window_end=window_end, window_days=settings.days)
    return asdict(read)


def _rollout_under_way(ledger: Ledger | None) -> bool:
    if ledger is None:
        return False
    last = next((record for record in ledger.newest_first() if record.kind in (WAITING, *ENDS_A_ROLLOUT)), None)
    return last is not None and last.kind == WAITING
