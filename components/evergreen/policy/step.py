"""What the component does with its artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evergreen.artifacts import is_present, read_json, write_json
from evergreen.policy.decision import Decision, decide
from evergreen.policy.policy_file import read_policy
from evergreen.policy.report import decision_page
from evergreen.policy.triggers import Evidence


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
) -> Decision:
    """Decide, and write decision and report.

    Args:
        drift_result: Artifact of detect_drift.
        performance_result: Artifact of monitor_performance.
        baseline: The champion's baseline; may be absent.
        decision: Output artifact of the JSON.
        decision_report: Output artifact of the page.
        policy_config: The policy parameter.
        mode: ``auto``, ``force`` or ``dry-run``.
        window_end: End of the watched window, ISO, or ``latest``.

    Returns:
        The decision.

    Raises:
        ArtifactError: A result cannot be read.
        PolicyError: The policy, the mode or a verdict cannot be used.
    """
    champion = {**read_json(baseline.path), "present": True} if is_present(baseline) else {"present": False}
    evidence = Evidence(read_json(drift_result.path), read_json(performance_result.path), champion, mode, window_end)
    made = decide(evidence, read_policy(policy_config))
    write_json(decision.path, made.as_json())
    decision.metadata.update({"decision": made.decision, "rule": made.rule, "alert": made.alert})
    Path(decision_report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(decision_report.path).write_text(decision_page(made), encoding="utf-8")
    return made
