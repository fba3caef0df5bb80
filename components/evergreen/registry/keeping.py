"""Records that the champion is kept: by the step that decided it, or by `keep_champion` after it; only once in either case."""

from __future__ import annotations

from typing import Any

from evergreen.data.artifacts import is_present, read_json
from evergreen.registry.champion import open_ledger, reconcile_alias
from evergreen.registry.errors import RegistryError
from evergreen.registry.ledger import Entry, Ledger, LedgerRecord
from evergreen.registry.record import KEPT, NO_CHAMPION, REJECTION
from evergreen.registry.run_decision import decision_of_run
from evergreen.registry.versions import ModelRegistry
from evergreen.results.decision import Decision
from evergreen.results.evaluation import Evaluation
from evergreen.storage.uris import NOTHING, is_nothing

LEFT_OUT = ("check_rows", "check_predictions")
NO_REASON = "no reason to retrain"
REJECTED = "challenger rejected"


def version_of(champion: Any, known: str = "") -> str:
    """Return the champion's version.

    Args:
        champion: An artifact of `load_champion`, with the version in its metadata.
        known: The version in its baseline, for an artifact imported without its metadata.

    Returns:
        The version; ``none`` if there is no champion, ``unknown`` if neither contains it.
    """
    return str(champion.metadata.get("version") or known or "unknown") if is_present(champion) else NO_CHAMPION


def record_kept_champion(
    *,
    reason: str,
    model_name: str,
    champion_version: str,
    evidence_path: str,
    tracking_uri: str = NOTHING,
    ledger_uri: str,
    run_id: str,
    step_name: str,
    found_before: bool = False,
) -> tuple[str, LedgerRecord | None]:
    """Record in the ledger that the champion is kept; a retried step records nothing more.

    Args:
        reason: Short reason.
        model_name: Name of the registered model.
        champion_version: The champion's version found by the run.
        evidence_path: JSON of a decision (the champion is kept) or of an evaluation (a challenger is rejected).
        tracking_uri: Address of the MLflow server, whose alias is moved to the ledger's champion if it points elsewhere; ``none`` to skip this.
        ledger_uri: Folder or bucket for the ledger, or ``none``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
        found_before: Whether an earlier step of the run may have recorded this already, in which case its record stands.

    Returns:
        ``kept`` or ``rejection``, and the record; None without a ledger.

    Raises:
        RegistryError: The evidence is neither a decision nor an evaluation, or a value in it has the wrong type.
        StateError: The ledger or the server cannot be used.
    """
    evidence = read_json(evidence_path)
    if "decision" not in evidence and "verdict" not in evidence:
        raise RegistryError(f"evidence {evidence_path}: expected the JSON of decide_retraining or evaluate_model, with a decision or a verdict.")
    kind, told = (KEPT, Decision) if "decision" in evidence else (REJECTION, Evaluation)
    found: Decision | Evaluation = told.from_json(evidence, source=f"evidence {evidence_path}", error=RegistryError)
    ledger = open_ledger(ledger_uri, model_name)
    record = None
    if ledger is not None:
        recorded: dict[str, Any] = {name: value for name, value in evidence.items() if name not in LEFT_OUT}
        if kind == REJECTION:
            recorded["decision_of_run"] = decision_of_run(ledger_uri, run_id)
        recorded.setdefault("sentence", " ".join(found.reasons))
        entry = Entry(
            kind=kind,
            run_id=run_id,
            step_name=step_name,
            challenger_id=found.challenger_id if isinstance(found, Evaluation) else "",
            evidence={**recorded, "reason": reason, "champion_found": champion_version},
        )
        record = (_recorded_before(ledger, entry) if found_before else None) or ledger.append(entry)
        if not is_nothing(tracking_uri):
            reconcile_alias(ModelRegistry(tracking_uri, model_name), ledger)
    return kind, record


def _recorded_before(ledger: Ledger, entry: Entry) -> LedgerRecord | None:
    """Return another step's record of the same decision or challenger in this run, or None.

    The same window identifies the same decision: a retried step may have found different numbers, but its first record stands.
    """
    if is_nothing(entry.run_id):
        return None
    told = (entry.challenger_id, (entry.evidence or {}).get("window_end"))
    records = ledger.of_run(entry.run_id, entry.kind)
    return next((record for record in records if (record.challenger_id, record.evidence.get("window_end")) == told), None)
