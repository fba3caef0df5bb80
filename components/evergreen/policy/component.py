"""The component decide_retraining."""

from kfp.dsl import HTML, Artifact, Input, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def decide_retraining(
    drift_result: Input[Artifact],
    performance_result: Input[Artifact],
    baseline: Input[Artifact],
    decision: Output[Artifact],
    decision_report: Output[HTML],
    policy_config: str = "default",
    mode: str = "auto",
    window_end: str = "latest",
    model_name: str = "none",
    validation: str = "passed",
    event: str = "none",
    feedback: Input[Artifact] = None,
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "decide_retraining",
) -> str:
    """Decide from drift, performance, age and request whether to train a challenger, and say why.

    Args:
        drift_result: The JSON of detect_drift.
        performance_result: The JSON of monitor_performance.
        baseline: The champion's baseline; absent when there is no champion.
        policy_config: "default", or the policy as YAML or JSON, in line or as the path or gs:// URI of a file.
        mode: "auto", "force" (retrain in any case) or "dry-run" (decide as auto; the promotion is withheld later).
        window_end: End of the watched window as ingest_data returned it; "latest" when it is not known.
        model_name: Name of the registered model, whose ledger holds earlier decisions for hysteresis, cool-down and budget; "none" decides without them.
        validation: What validate_data answered, for the veto contract_warnings.
        event: What happened elsewhere and asks for a retraining, in a few words; "none" takes the policy's.
        feedback: What read_feedback counted; without it feedback is read from where the policy's section feedback says, if it names a place.
        ledger_uri: Folder or bucket of ledger and run records; "none" records nothing.
        run_id: The pipeline run's id.
        step_name: Name of this step in the run's records.

    Returns:
        Output: "retrain" or "keep".
        decision: The decision, its reasons, and what every trigger said, as JSON.
        decision_report: The same for people.
    """
    from evergreen.run_log import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.policy.step import run_decision_step

        made = run_decision_step(
            drift_result=drift_result,
            performance_result=performance_result,
            baseline=baseline,
            decision=decision,
            decision_report=decision_report,
            policy_config=policy_config,
            mode=mode,
            window_end=window_end,
            model_name=model_name,
            validation=validation,
            event=event,
            feedback=feedback,
            ledger_uri=ledger_uri,
            run_id=run_id,
            step_name=step_name,
        )
        record.outcome = made.decision
        record.details = made.as_json()
        record.reports = {"decision_report": decision_report.uri}
        return made.decision
