"""The decision step: reads its input artifacts, decides, and writes the results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from evergreen.data.artifacts import is_present, read_json, write_json
from evergreen.errors import PolicyError
from evergreen.policy.decision import decide
from evergreen.policy.evidence import Evidence
from evergreen.policy.history import read_history
from evergreen.policy.outlook import with_outlook
from evergreen.policy.policy_file import read_policy
from evergreen.policy.report import decision_page
from evergreen.registry.champion import open_ledger
from evergreen.registry.keeping import NO_REASON, record_kept_champion, version_of
from evergreen.registry.record import PROMOTION, RETRAINING, ROLLBACK, WAITING, Entry
from evergreen.results.baseline import Baseline
from evergreen.results.drift import DriftResult
from evergreen.results.feedback import Feedback
from evergreen.results.performance import PerformanceResult
from evergreen.results.reading import JsonResult
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from evergreen.policy.feedback_settings import FeedbackSettings
    from evergreen.policy.request import DecisionOutputs, DecisionRequest
    from evergreen.registry.ledger import Ledger
    from evergreen.results.decision import Decision
    from evergreen.runs.records import StepPlace

Result = TypeVar("Result", bound=JsonResult)

LEFT_OUT = ("policy",)
ENDS_A_ROLLOUT = (PROMOTION, ROLLBACK)


def run_decision_step(request: DecisionRequest, outputs: DecisionOutputs, place: StepPlace) -> Decision:
    """Decide, write the decision and its report, and record the retraining or the kept champion in the model's ledger.

    Args:
        request: The inputs of the decision.
        outputs: Output artifacts.
        place: The ledger, the run and the step.

    Returns:
        The decision.

    Raises:
        ArtifactError: A result cannot be read.
        PolicyError: The policy, the mode or a result is invalid.
        LedgerError: The ledger cannot be read.
        IngestionError: The feedback source in the policy cannot be read.
        PerformanceError: The feedback in it is invalid.
    """
    policy = read_policy(request.policy_config)
    champion = _read(Baseline, request.baseline, "baseline") if is_present(request.baseline) else None
    ledger = None if is_nothing(request.model_name) else open_ledger(place.ledger_uri, request.model_name)
    evidence = Evidence(
        _read(DriftResult, request.drift_result, "drift result"),
        _read(PerformanceResult, request.performance_result, "performance result"),
        champion,
        request.mode,
        request.window_end,
        history=read_history(ledger, run_id=place.run_id),
        validation=request.validation,
        event=policy.event if is_nothing(request.event) else request.event,
        rollout_under_way=_rollout_under_way(ledger),
        feedback=_feedback(request.feedback, policy.feedback, request.window_end),
    )
    made = with_outlook(decide(evidence, policy), evidence, policy)
    write_json(outputs.decision.path, made.to_json())
    outputs.decision.metadata.update({"decision": made.decision, "rule": made.rule, "alert": made.alert})
    report = Path(outputs.decision_report.path)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(decision_page(made, policy, probe=evidence.performance.probe), encoding="utf-8")
    if ledger is not None and made.decision == "keep":
        record_kept_champion(
            reason=NO_REASON,
            model_name=request.model_name,
            champion_version=version_of(request.baseline, champion.version if champion else ""),
            evidence_path=outputs.decision.path,
            ledger_uri=place.ledger_uri,
            run_id=place.run_id,
            step_name=place.step_name,
        )
    if ledger is not None and made.decision == "retrain":
        recorded = {name: value for name, value in made.to_json().items() if name not in LEFT_OUT}
        ledger.append(Entry(RETRAINING, run_id=place.run_id, step_name=place.step_name, evidence={**recorded, "sentence": " ".join(made.reasons)}))
    return made


def _read(kind: type[Result], artifact: Any, name: str) -> Result:
    return kind.from_json(read_json(artifact.path), source=f"{name} {artifact.path}", error=PolicyError)


def _feedback(artifact: Any, settings: FeedbackSettings, window_end: str) -> Feedback | None:
    if is_present(artifact):
        return _read(Feedback, artifact, "feedback")
    if is_nothing(settings.source_uri):
        return None
    from evergreen.performance.feedback import read_feedback_window

    read, _ = read_feedback_window(settings.source_uri, timestamp_column=settings.timestamp_column, window_end=window_end, window_days=settings.days)
    return read


def _rollout_under_way(ledger: Ledger | None) -> bool:
    if ledger is None:
        return False
    last = next((record for record in ledger.newest_first() if record.kind in (WAITING, *ENDS_A_ROLLOUT)), None)
    return last is not None and last.kind == WAITING
