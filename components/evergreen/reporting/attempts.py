"""What a run tried instead of a degraded champion: models of the probe, training rows to choose from, and the challenger at the gate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evergreen.reporting.page import format_number
from evergreen.results.repair import Attempt

if TYPE_CHECKING:
    from evergreen.reporting.step_results import StepResults
    from evergreen.results.candidates import Candidate, CandidateChoice
    from evergreen.results.performance import Probe, ProbedModel


def attempts_of(found: StepResults, *, fitted_rows: int | None = None) -> list[Attempt]:
    """Return what a run tried, in the order of its steps.

    Args:
        found: Results of the steps.
        fitted_rows: Number of rows that the challenger was fitted on; None if unknown.
    """
    probe = found.performance.probe if found.performance else None
    tried = [_probed(model, probe) for model in probe.models] if probe else []
    if found.choice:
        tried += [_candidate(candidate, found.choice) for candidate in found.choice.candidates]
    evaluation = found.evaluation
    if evaluation and evaluation.challenger_score is not None:
        name = f"version {evaluation.former_version}, a former champion" if evaluation.former_version else f"the challenger ({evaluation.origin})"
        why = " ".join(evaluation.reasons) if evaluation.verdict == "reject" else "It passed the gate."
        tried.append(Attempt("gate", name, fitted_rows, evaluation.challenger_score, evaluation.champion_score, evaluation.difference, why))
    elif evaluation:
        tried.append(Attempt("gate", "the challenger", fitted_rows, why=" ".join(evaluation.reasons) or evaluation.conclusion))
    return tried


def _probed(model: ProbedModel, probe: Probe) -> Attempt:
    return Attempt("probe", model.name, model.rows or None, model.score, probe.champion_score, model.gain, _why_not_by_probe(model, probe))


def _why_not_by_probe(model: ProbedModel, probe: Probe) -> str:
    if model.score is None or model.gain is None:
        return "It could not be scored."
    if probe.minimum_gain is not None and model.gain < probe.minimum_gain:
        return f"It gains less than the {format_number(probe.minimum_gain)} that matters."
    if model.gain_lower is not None and model.gain_lower <= 0:
        return f"Chance alone may explain its gain (lower bound {format_number(model.gain_lower)})."
    if probe.best is not None and model.name != probe.best.name:
        return f"A model of {probe.best.name} scores higher."
    return "It is better. The probe only asks whether a retraining pays; its small models are never promoted."


def _candidate(candidate: Candidate, choice: CandidateChoice) -> Attempt:
    weighted = f", half weight at {candidate.half_life_days:g} days" if candidate.half_life_days is not None else ""
    chosen = candidate == choice.chosen
    why = _sentence(candidate.note) or ("It was chosen as the challenger." if chosen else "Another candidate scored higher.")
    champion = None if candidate.score is None else choice.champion_score
    return Attempt("choice of training rows", f"{candidate.name}{weighted}", candidate.rows or None, candidate.score, champion, candidate.gain, why)


def _sentence(note: str) -> str:
    """Return a note as a sentence; empty if there is none."""
    return f"{note[0].upper()}{note[1:].rstrip('.')}." if note else ""
