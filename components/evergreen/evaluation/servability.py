"""Can the model be served: loaded from its files in a fresh process, does it predict the same, how fast, and with how much memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.evaluation.checks import Check, within

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.evaluation.gate_config import Serving

SECONDS_TO_START = 180
REQUESTS = 100
MOST_ROWS = 200

PROGRAM = """
import json, resource, sys, time
import numpy as np, pandas as pd
from evergreen.models import load_model
model_path, rows_path, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
model, rows = load_model(model_path), pd.read_parquet(rows_path)
said = model.predict(rows)
seconds = []
for number in range(requests):
    row = rows.iloc[[number % len(rows)]]
    started = time.perf_counter()
    model.predict(row)
    seconds.append(time.perf_counter() - started)
p50, p99 = np.quantile(seconds[len(seconds) // 10 :], [0.5, 0.99])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
print(json.dumps({"said": said.tolist(), "p50": p50 * 1000, "p99": p99 * 1000, "memory": peak}))
"""


def check_servability(model_path: str, frame: pd.DataFrame, predicted: Any, rules: Serving) -> list[Check]:
    """Load a model directory in a new Python process, predict up to 200 rows at once and 100 rows one by one.

    Args:
        model_path: The model directory.
        frame: The rows compared.
        predicted: What the model said about them in this process.
        rules: Limits.

    Returns:
        Checks of sameness, latency (p99 of one row, after a tenth as warm-up), size and memory; the first is failed when the process dies.
    """
    if not rules.check:
        return []
    rows = frame.head(MOST_ROWS)
    size = sum(file.stat().st_size for file in Path(model_path).rglob("*") if file.is_file()) / 2**20
    with tempfile.TemporaryDirectory() as folder:
        rows.to_parquet(Path(folder) / "rows.parquet")
        command = [sys.executable, "-c", PROGRAM, str(model_path), f"{folder}/rows.parquet", str(REQUESTS)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_START, check=False)  # noqa: S603  # our own program and paths
        except subprocess.TimeoutExpired:
            return [Check("serving", "failed", f"A fresh process did not load the model and predict within {SECONDS_TO_START} s.")]
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return [Check("serving", "failed", f"A fresh process cannot load the model and predict: {last[:500]}")]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return [
        _same(found["said"], predicted[: len(rows)]),
        within(
            "serving: latency",
            found["p99"],
            rules.p99_milliseconds,
            what=f"p99 of a prediction for one row (p50 {found['p50']:.3g} ms)",
            unit=" ms",
            details={"p50_milliseconds": found["p50"], "p99_milliseconds": found["p99"]},
        ),
        within("serving: size", size, rules.model_megabytes, what="The model's size", unit=" MB", details={"megabytes": size}),
        within(
            "serving: memory", found["memory"], rules.memory_megabytes, what="The serving process's memory", unit=" MB", details={"megabytes": found["memory"]}
        ),
    ]


def _same(said: list[Any], predicted: Any) -> Check:
    if predicted.dtype.kind == "f":
        same = np.isclose(np.asarray(said, dtype=np.float64), predicted, rtol=1e-9, atol=1e-12)
    else:
        same = np.asarray(said, dtype=predicted.dtype) == predicted
    different = int((~same).sum())
    if different:
        return Check("serving", "failed", f"A fresh process predicts {different} of {len(said)} rows differently from the process that evaluated the model.")
    return Check("serving", "passed", f"A fresh process loads the model and predicts {len(said)} rows exactly as before.")
