"""What each step of the pipeline pays before it works: the imports of its logic, in a fresh process.

Prints seconds (the best of three) and the heavy libraries that the imports load. Run with `python tests/benchmarks/step_imports.py`.
"""

from __future__ import annotations

import subprocess
import sys
import time

LOGIC_OF_STEP = {
    "(Python itself)": "sys",
    "(KFP's executor)": "kfp",
    "load_champion": "evergreen.registry.champion, mlflow",
    "ingest_data": "evergreen.ingestion.windowing",
    "validate_data": "evergreen.validation.step, evergreen.validation.checks, evergreen.validation.frame",
    "detect_drift, alibi-detect": "evergreen.drift.step, alibi_detect.cd",
    "detect_drift, no champion": "evergreen.drift.step",
    "monitor_performance": "evergreen.performance.monitoring, evergreen.models.files, evergreen.metrics.scoring, skops.io",
    "decide_retraining": "evergreen.policy.step",
    "assess_model": "evergreen.policy.assessment, evergreen.registry.champion, evergreen.ingestion.step, evergreen.validation.step, evergreen.drift.step, "
    "evergreen.performance.monitoring, evergreen.policy.step, mlflow",
    "train_model": "evergreen.training.challenger, mlflow.sklearn, skops.io",
    "evaluate_model": "evergreen.evaluation.comparison, skops.io",
    "deploy_model": "evergreen.deployment.promotion, mlflow, skops.io",
    "keep_champion": "evergreen.registry.keeping",
    "record_run": "evergreen.reporting.step",
}
HEAVY = ("alibi_detect", "kfp", "matplotlib", "mlflow", "numpy", "pandas", "pandera", "pyarrow", "scipy", "sklearn", "skops")


def seconds(modules: str) -> float:
    """Return the wall time of a fresh process that imports the modules and nothing else."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {modules}"], check=True, capture_output=True)
    return time.perf_counter() - started


def heavy_modules(modules: str) -> str:
    """Return the heavy libraries that importing the modules loads."""
    code = f"import {modules}, sys; print(*[name for name in {HEAVY!r} if name in sys.modules])"
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Print the table."""
    print(f"{'step':<28} {'seconds':>8}  loads")
    for step, modules in LOGIC_OF_STEP.items():
        print(f"{step:<28} {min(seconds(modules) for _ in range(3)):8.2f}  {heavy_modules(modules)}")


if __name__ == "__main__":
    main()
