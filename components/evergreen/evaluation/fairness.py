"""Gaps between groups: demographic parity and equalised odds (Hardt, Price and Srebro, Equality of Opportunity, 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.checks import Check, within
from evergreen.evaluation.errors import EvaluationError

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.evaluation.gate_settings import Fairness
    from evergreen.metrics.predictions import Predictions


def check_fairness(frame: pd.DataFrame, predictions: Predictions, rules: Fairness, *, minimum_rows: int) -> list[Check]:
    """Return two checks per group column: the gap in favourable predictions, and the larger of the gaps in true and false positive rates.

    Args:
        frame: The rows compared.
        predictions: The challenger's predictions.
        rules: Group columns and limits.
        minimum_rows: Groups with fewer rows are left out; for a rate, groups with fewer rows of that label.

    Raises:
        EvaluationError: A group column is missing, the favourable class is unknown, or the task is regression.
    """
    if not len(predictions.classes):
        raise EvaluationError("policy_config: gate.fairness requires a classifier, but the task is regression. Remove fairness, or use slices instead.")
    favourable = predictions.classes[-1] if rules.favourable is None else rules.favourable
    if favourable not in predictions.classes:
        classes = ", ".join(map(repr, predictions.classes))
        raise EvaluationError(f"policy_config: Unknown class {favourable!r} in gate.fairness.favourable. Valid classes: {classes}.")
    checks = []
    for name in rules.groups:
        if name not in frame.columns:
            raise EvaluationError(
                f"policy_config: Unknown column {name!r} in gate.fairness.groups. Columns of the holdout: {', '.join(map(str, frame.columns))}."
            )
        groups = frame[name].astype(str).where(frame[name].notna(), "missing").to_numpy()
        checks.extend(_gaps(name, groups, predictions.predicted == favourable, predictions.labels == favourable, rules=rules, minimum_rows=minimum_rows))
    return checks


def _gaps(name: str, groups: Any, said: Any, truth: Any, *, rules: Fairness, minimum_rows: int) -> list[Check]:
    share: dict[str, float] = {}
    rates: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for group in np.unique(groups):
        member = groups == group
        if member.sum() >= minimum_rows:
            share[str(group)] = float(said[member].mean())
        for label, rate in rates.items():
            rows = member & (truth == label)
            if rows.sum() >= minimum_rows:
                rate[str(group)] = float(said[rows].mean())
    parity = _check(f"demographic parity by {name}", [share], rules.demographic_parity, minimum_rows)
    return [parity, _check(f"equalised odds by {name}", list(rates.values()), rules.equalised_odds, minimum_rows)]


def _check(name: str, rates: list[dict[str, float]], limit: float | None, minimum_rows: int) -> Check:
    gaps = [max(rate.values()) - min(rate.values()) for rate in rates if len(rate) >= 2]
    if not gaps or (len(gaps) < len(rates) and limit is not None):
        verdict = "measured" if limit is None else "cannot tell"
        return Check(name, verdict, f"Fewer than two groups have the {minimum_rows} rows required to measure {name}.")
    return within(name, max(gaps), limit, what=f"The largest gap in {name}", details={"rates": rates})
