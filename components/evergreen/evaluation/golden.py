"""Golden examples: rows whose predictions must be the same for every model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from evergreen.evaluation.checks import Check
from evergreen.evaluation.errors import EvaluationError
from evergreen.models.trust import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from evergreen.evaluation.gate_settings import Golden
    from evergreen.models.fitted import FittedModel


def check_golden(model: FittedModel, examples: Sequence[Golden]) -> list[Check]:
    """Return one check over all golden examples; the sentence names up to five with a different prediction.

    Raises:
        EvaluationError: An example lacks a feature of the model, or expects an unknown class.
    """
    if not examples:
        return []
    classes = model.description.classes
    for number, example in enumerate(examples, start=1):
        if classes and example.expected not in classes:
            valid = ", ".join(map(repr, classes))
            raise EvaluationError(f"policy_config: Unknown class {example.expected!r} in gate.golden, example {number}. Valid classes: {valid}.")
    try:
        said = model.predict(pd.DataFrame([example.row for example in examples]))
    except ModelError as error:
        raise EvaluationError(f"policy_config: gate.golden: {error}") from error
    lost = [(number, example, answer) for number, (example, answer) in enumerate(zip(examples, said, strict=True), start=1) if not _kept(example, answer)]
    if not lost:
        return [Check("golden examples", "passed", f"All {len(examples)} golden examples are predicted as required.")]
    shown = "; ".join(f"example {number} expects {example.expected!r} and gets {_plain(answer)!r}" for number, example, answer in lost[:5])
    return [Check("golden examples", "failed", f"{len(lost)} of {len(examples)} golden examples are predicted differently: {shown}.")]


def _plain(answer: Any) -> Any:
    return answer.item() if hasattr(answer, "item") else answer


def _kept(example: Golden, answer: Any) -> bool:
    if isinstance(example.expected, (int, float)) and not isinstance(example.expected, bool):
        return bool(abs(float(answer) - float(example.expected)) <= example.tolerance)
    return bool(answer == example.expected)
