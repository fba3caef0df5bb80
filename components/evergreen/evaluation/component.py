"""The component that compares two models: `evaluate_model`."""

from kfp.dsl import HTML, Artifact, ClassificationMetrics, Dataset, Input, Markdown, Metrics, Model, Output

from evergreen.images import BASE_IMAGE
from evergreen.pipeline.component import component


@component(image=BASE_IMAGE)
def evaluate_model(
    challenger: Input[Model],
    champion: Input[Model],
    holdout_data: Input[Dataset],
    evaluation: Output[Artifact],
    evaluation_report: Output[HTML],
    classification_metrics: Output[ClassificationMetrics],
    metrics: Output[Metrics],
    model_card: Output[Markdown],
    model_card_page: Output[HTML],
    metric: str = "auto",
    margin: float = 0.0,
    minimum_rows: int = 30,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 7,
    floors: str = "{}",
    policy_config: str = "default",
    decision: Input[Artifact] = None,
    model_name: str = "none",
    ledger_uri: str = "none",
    run_id: str = "none",
    step_name: str = "evaluate_model",
) -> str:
    """Compare challenger and champion on the same rows, which neither model has seen.

    Args:
        challenger: The new model.
        champion: The model in service; may be absent.
        holdout_data: Rows that the challenger was not fitted on.
        metric: auto (accuracy, or negative mean absolute error), the name of a scikit-learn scorer, or your own function as module:function.
        margin: Value that the lower bound of the difference must exceed, in units of the metric; a negative margin allows non-inferiority.
        minimum_rows: Minimum number of rows to compare on; with fewer, the comparison is inconclusive and the challenger is rejected.
        confidence: Confidence level of the intervals.
        resamples: Number of bootstrap resamples.
        seed: Random seed for the resamples.
        floors: JSON object with the minimum score for each scorer.
        policy_config: The policy as inline YAML or JSON, or the path or gs:// URI of a file; default for the default policy. Its gate section
            contains further requirements such as slices and fairness.
        decision: The decision of decide_retraining, which says whether the champion is stale; without it, the champion is not considered stale.
        model_name: Name of the registered model, whose ledger records a rejection; none records it nowhere.
        ledger_uri: Folder or bucket for the ledger and run records; none records nothing.
        run_id: ID of the pipeline run.
        step_name: Name of this step in the run records.

    Returns:
        Output: promote or reject.
        evaluation: The comparison and its reasons (JSON).
        evaluation_report: The comparison as an HTML report.
        classification_metrics: The challenger's confusion matrix and ROC curve; empty for regression.
        metrics: Scores of both models, their difference and its lower bound.
        model_card: The model card (Markdown): what the challenger is, what it was fitted on, and how it performed.
        model_card_page: The model card as HTML.
    """
    from evergreen.runs.records import reported_step

    with reported_step(ledger_uri=ledger_uri, run_id=run_id, step_name=step_name) as record:
        from evergreen.evaluation.comparison import compare
        from evergreen.evaluation.gate import is_champion_stale, parse_gate
        from evergreen.evaluation.model_card import write_model_card
        from evergreen.evaluation.report import write_outputs
        from evergreen.registry.keeping import REJECTED, record_kept_champion, version_of
        from evergreen.storage.uris import is_nothing

        gate = parse_gate(
            margin=margin,
            minimum_rows=minimum_rows,
            confidence=confidence,
            resamples=resamples,
            seed=seed,
            floors=floors,
            policy_config=policy_config,
            champion_stale=is_champion_stale(decision),
        )
        found, scored = compare(challenger, champion, holdout_data, metric=metric, gate=gate)
        write_model_card(found, challenger, card_artifact=model_card, page_artifact=model_card_page)
        verdict = write_outputs(
            found,
            scored,
            record,
            evaluation_artifact=evaluation,
            report_artifact=evaluation_report,
            curves_artifact=classification_metrics,
            metrics_artifact=metrics,
        )
        if verdict == "reject" and not is_nothing(model_name):
            record_kept_champion(
                reason=REJECTED,
                model_name=model_name,
                champion_version=version_of(champion),
                evidence_path=evaluation.path,
                ledger_uri=ledger_uri,
                run_id=run_id,
                step_name=step_name,
            )
        return verdict
