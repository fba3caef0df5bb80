"""Checks that the registered copy of a model loads and predicts, and that the refit behaves like the evaluated challenger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.deployment.errors import DeploymentError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from evergreen.models.fitted import FittedModel
    from evergreen.results.evaluation import Evaluation

LEAST_AGREEMENT = 0.5
"""A refit on a few more rows that agrees less often with the evaluated challenger than this is a different model."""


@dataclass(frozen=True)
class CopyCheck:
    """A check made before a promotion."""

    name: str
    passed: bool
    detail: str


def smoke_test(registered: FittedModel, local: FittedModel, evaluation: Evaluation) -> list[CopyCheck]:
    """Predict the evaluation's check rows with the registered copy.

    Args:
        registered: The model as downloaded from the registry.
        local: The model as written by the training step.
        evaluation: Contains ``check_rows`` and the challenger's ``check_predictions`` for them.

    Returns:
        The checks, all passed.

    Raises:
        DeploymentError: A check failed.
        ModelError: The model cannot predict the rows.
    """
    import numpy as np
    import pandas as pd

    rows = pd.DataFrame(evaluation.check_rows)
    if rows.empty:
        raise DeploymentError("evaluation: it contains no rows to test the registered model with. Pass the output of evaluate_model to deploy_model.")
    rows = rows.reindex(columns=list(registered.description.features))
    predicted = registered.predict(rows)
    checks = [
        _valid(predicted, registered),
        CopyCheck("same as before registration", bool(np.array_equal(predicted, local.predict(rows))), f"on {len(rows)} rows"),
        _agreement(predicted, evaluation.check_predictions, registered.description.task),
    ]
    _all_passed(checks)
    return checks


def try_serving(files: Path, evaluation: Evaluation) -> list[CopyCheck]:
    """Load the registered copy in a fresh process, and check it against its predictions at training and the policy's limits.

    Args:
        files: The model directory as downloaded from the registry.
        evaluation: Contains the limits as ``serving``; without limits, the copy is only tested and measured.

    Returns:
        The checks, all passed.

    Raises:
        DeploymentError: A check failed.
    """
    from evergreen.evaluation.gate_settings import Serving
    from evergreen.evaluation.servability import check_servability

    found = check_servability(files, Serving.model_validate(evaluation.serving))
    checks = [CopyCheck(check.name, check.verdict != "failed", check.sentence.rstrip(".")) for check in found]
    _all_passed(checks)
    return checks


def _all_passed(checks: list[CopyCheck]) -> None:
    failed = [check for check in checks if not check.passed]
    if not failed:
        return
    advice = "check the training data and run again"
    if failed[0].name.startswith("serving: "):
        advice = "choose a smaller model, or raise the limit in policy_config, gate.serving"
    raise DeploymentError(f"smoke test of the registered model: {failed[0].name}: {failed[0].detail}. The champion is unchanged; {advice}.")


def _valid(predicted: np.ndarray[Any, Any], model: FittedModel) -> CopyCheck:
    import numpy as np

    if model.description.task == "classification":
        strange = sorted({str(value) for value in predicted.tolist()} - {str(value) for value in model.description.classes})
        return CopyCheck("predictions are known classes", not strange, f"unknown: {', '.join(strange[:3])}" if strange else f"{len(predicted)} predictions")
    finite = int(np.isfinite(predicted.astype(float)).sum())
    return CopyCheck("predictions are finite", finite == len(predicted), f"{finite} of {len(predicted)}")


def _agreement(predicted: np.ndarray[Any, Any], expected: list[Any], task: str) -> CopyCheck:
    import numpy as np

    name = "refit agrees with the evaluated challenger"
    if len(expected) != len(predicted):
        return CopyCheck(name, passed=False, detail=f"{len(expected)} predictions of the challenger for {len(predicted)} rows")
    if task == "classification":
        share = float(np.mean([str(one) == str(other) for one, other in zip(predicted.tolist(), expected, strict=True)]))
        return CopyCheck(name, share >= LEAST_AGREEMENT, f"on {share:.1%} of the rows, at least {LEAST_AGREEMENT:.0%} required")
    # A refit of a weak regression model may differ considerably in every row without being worse: its correlation is recorded, not judged.
    ours, theirs = predicted.astype(float), np.asarray(expected, dtype=float)
    if ours.std() == 0.0 or theirs.std() == 0.0 or not np.isfinite(ours).all():
        return CopyCheck(name, passed=True, detail="no correlation, because one of them predicts a constant or non-finite numbers")
    return CopyCheck(name, passed=True, detail=f"correlation {float(np.corrcoef(ours, theirs)[0, 1]):.3f}")
