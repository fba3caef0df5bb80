"""What a run costs on a cluster, and whether a run on this machine tells the truth about it: each figure beside its bar.

Runs continuous_retraining and lean_retraining over the demo's data, a first run and a quiet day each; counts pods from the compiled graphs; estimates
the nodes of the longest runs from what the driver handed to each step; and runs the tests that hold the rest. Run with
`python tests/benchmarks/cluster.py`; it exits with 1 when a bar is missed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from evergreen.pipeline.loading import arguments_for, load_pipeline
from evergreen.pipeline.local_run import run_locally
from evergreen.pipeline.pod_count import count_pods
from evergreen.pipeline.workflow_size import estimate_workflow, executor_input_bytes
from evergreen.reporting.summary import summarise_run
from evergreen.runs.local_home import LocalHome

ROOT = Path(__file__).resolve().parents[2]
TESTS = ROOT / "tests"
DAYS = {"first run": ("1954-01-01", 365), "quiet day": ("1954-02-01", 30)}
MEASURED = re.compile(r"(.*_)?(seconds|milliseconds|megabytes|uri|run_id|duration_s|started_at|created|reports)")
"""What differs from run to run: times, memory, ids and places."""

MEASURED_IN_TEXT = re.compile(r"[0-9.]+ (ms|MB)")

HELD_BY_TESTS = {
    "recorded executor inputs that are reproduced (66)": ["pipeline/test_handover.py"],
    "local executor inputs of every component and pipeline held to the rules": ["pipeline/test_every_component.py"],
    "attempts to read a secret through parameters": ["test_secrets_stay_secret.py", "test_redaction.py"],
    "both pipelines decide the same, over five kinds of run": ["pipelines/test_branches.py"],
}


@dataclass
class Table:
    """Lines of a figure beside its bar."""

    missed: int = 0

    def line(self, what: str, figure: object, bar: str, *, met: bool) -> None:
        """Print one line."""
        self.missed += not met
        print(f"{'ok    ' if met else 'MISSED'}  {what:<72} {figure!s:>14}  {bar}", flush=True)


def run(pipeline_file: Path, home: LocalHome, window_end: str, window_days: int) -> Any:
    """Run a pipeline over the demo's data."""
    pipeline = load_pipeline(pipeline_file)
    given = {
        "data_source_uri": str(ROOT / "demo" / "weather.parquet"),
        "data_timestamp_column": "observed_at",
        "data_target_column": "rain",
        "data_window_end": window_end,
        "data_window_days": window_days,
        "model_name": "rain",
    }
    finished = run_locally(pipeline, arguments_for(pipeline, given), home, lambda _: None)
    if finished.failure:
        sys.exit(f"{pipeline_file.stem}: {finished.failure}\n{finished.log_file.read_text()[-3000:]}")
    return finished


def said(finished: Any) -> dict[str, Any]:
    """Return what a run's steps recorded, without times and places."""
    summary = summarise_run(finished.records)
    records = {record.step_name: (record.state, record.outcome, without_measurements(record.details)) for record in finished.records}
    return {"outcome": summary.outcome, "decision": summary.decision, "reasons": summary.reasons, **records}


def without_measurements(value: Any) -> Any:
    """Return what a step recorded, without times, memory, ids and places."""
    if isinstance(value, dict):
        return {name: without_measurements(held) for name, held in value.items() if not MEASURED.fullmatch(name)}
    if isinstance(value, list):
        return [without_measurements(held) for held in value]
    return MEASURED_IN_TEXT.sub(r"... \1", value) if isinstance(value, str) else value


def handed_over(home: LocalHome, pipeline: str, run_id: str) -> dict[str, list[int]]:
    """Return the bytes of what each start of a task was handed, as a cluster's would be."""
    sizes: dict[str, list[int]] = {}
    for file in sorted((home.artifact_folder / pipeline / run_id).glob("*/*/executor_input.json")):
        sizes.setdefault(file.parts[-3], []).append(executor_input_bytes(json.loads(file.read_text())))
    return sizes


def compiled(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a compiled pipeline and its Kubernetes settings."""
    spec, *more = yaml.safe_load_all((ROOT / "pipelines" / f"{name}.yaml").read_text())
    return spec, more[0]["platforms"]["kubernetes"]["deploymentSpec"]["executors"] if more else {}


def pods(table: Table) -> None:
    """Print the pods of both pipelines."""
    for name, quiet, promotion in (("lean_retraining", 7, 20), ("continuous_retraining", 17, 30)):
        counted = count_pods(compiled(name)[0])
        table.line(f"pods of a quiet day, {name}", counted.fewest, f"at most {quiet}", met=counted.fewest <= quiet)
        table.line(f"pods of a promotion, {name}", counted.most, f"at most {promotion}", met=counted.most <= promotion)


def sizes(table: Table, measured: dict[str, dict[str, list[int]]]) -> None:
    """Print the nodes of the longest run of every pipeline."""
    for file in sorted((ROOT / "pipelines").glob("*.yaml")):
        bar = 0.8 if file.stem == "lean_retraining" else 0.95
        size = estimate_workflow(*compiled(file.stem), executor_inputs=measured.get(file.stem))
        how = "what a run was handed" if file.stem in measured else "typical inputs"
        table.line(f"nodes of the longest run, {file.stem} ({how})", size, f"below {bar} MB", met=size.node_bytes < bar * 1e6)


def tests(table: Table, what: str, files: list[str]) -> None:
    """Run tests that hold a line of the table, and print how many passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(TESTS / file) for file in files)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    counts = finished.stdout.strip().splitlines()[-1].partition(" in ")[0] if finished.stdout.strip() else "no test ran"
    table.line(what, counts, "all tests pass", met=finished.returncode == 0)


def main() -> int:
    """Print the table."""
    table, measured = Table(), {}
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: LocalHome(Path(folder) / name) for name in ("continuous_retraining", "lean_retraining")}
        for day, (window_end, days) in DAYS.items():
            finished = {name: run(ROOT / "pipelines" / f"{name}.py", home, window_end, days) for name, home in homes.items()}
            for name, run_of_it in finished.items():
                if day == "first run":
                    measured[name] = handed_over(homes[name], name.replace("_", "-"), run_of_it.run_id)
            full, lean = (said(finished[name]) for name in homes)
            differing = sorted(key for key in {*full, *lean} if full.get(key) != lean.get(key))
            table.line(f"records that differ between both pipelines, {day}", len(differing), f"none {' '.join(differing)}".strip(), met=not differing)
    pods(table)
    sizes(table, measured)
    for what, files in HELD_BY_TESTS.items():
        tests(table, what, files)
    outages = subprocess.run([sys.executable, str(TESTS / "benchmarks" / "outages.py")], cwd=ROOT, check=False)
    table.line("outages, and permanent faults (above)", f"exit {outages.returncode}", "each line met", met=outages.returncode == 0)
    return 1 if table.missed else 0


if __name__ == "__main__":
    sys.exit(main())
