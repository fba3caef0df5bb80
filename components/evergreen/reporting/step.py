"""The recording step: reads the records, summarises them and writes the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evergreen.data.artifacts import write_metrics
from evergreen.data.json_values import plain, to_json
from evergreen.reporting.run_metrics import run_metrics
from evergreen.reporting.run_page import run_page
from evergreen.reporting.run_records import read_records
from evergreen.reporting.summary import RunSummary, summarise_run
from evergreen.runs.records import checked_id
from evergreen.secrets.redaction import mask_json
from evergreen.storage.opening import open_store
from evergreen.storage.uris import check_ledger_uri, is_nothing


def run_record_step(
    *, run_report: Any, metrics: Any, status: Any, model_name: str, tracking_uri: str, ledger_uri: str, run_id: str, step_name: str
) -> RunSummary:
    """Write a run's summary and report to the ledger's store, and its report and decisive numbers to the artifacts.

    Args:
        run_report: Output artifact for the report.
        metrics: Output artifact for the outcome and the decisive numbers.
        status: KFP's final status of the run; may be None.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server, for the report.
        ledger_uri: Folder or bucket for the run records; with ``none``, only the artifacts are written.
        run_id: ID of the run.
        step_name: Name of this step, whose own record is ignored.

    Returns:
        The summary.

    Raises:
        StateError: The ledger URI or the run ID is invalid.
    """
    store = None if is_nothing(ledger_uri) else open_store(check_ledger_uri(ledger_uri))
    records, problems = (
        ([], ["No ledger was configured, so the steps left no records."]) if store is None else read_records(store, run_id, without_step=step_name)
    )
    summary = summarise_run(records, run_id=run_id, model_name=model_name, problems=problems, final_status=_final_status(status))
    page = run_page(summary, tracking_uri=tracking_uri)
    Path(run_report.path).parent.mkdir(parents=True, exist_ok=True)
    Path(run_report.path).write_text(page, encoding="utf-8")
    write_metrics(metrics, run_metrics(summary, records))
    if store is None:
        return summary
    name = f"runs/{checked_id(run_id)}"
    store.write(f"{name}.html", page.encode())
    # Write the summary last, so that the report exists once the summary is visible.
    store.write(f"{name}.json", to_json(mask_json(plain(summary.to_json()))))
    return summary


def _final_status(status: Any) -> dict[str, str]:
    return {name: str(value) for name in ("state", "error_code", "error_message") if (value := getattr(status, name, None)) not in (None, "")}
