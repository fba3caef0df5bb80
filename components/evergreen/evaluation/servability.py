"""Whether the model can be served: loaded from its files in a fresh process, does it predict as at training, how fast, and with how much memory?"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from evergreen.errors import ArtifactError
from evergreen.evaluation.checks import Check, within
from evergreen.models.recorded_predictions import differences, read_record
from evergreen.registry.versions import EVIDENCE_FOLDER

if TYPE_CHECKING:
    from evergreen.evaluation.gate_settings import Serving

SECONDS_TO_START = 180
REQUESTS = 100

PROGRAM = """
import json, resource, sys, time
import numpy as np, pandas as pd
from evergreen.models.files import load_model
from evergreen.models.recorded_predictions import read_record
model, rows = load_model(sys.argv[1]), read_record(sys.argv[1]).rows
together = pd.DataFrame(rows)
probabilities = model.predict_probability(together)
alone, seconds = [], []
for row in rows[: int(sys.argv[2])]:
    started = time.perf_counter()
    alone.append(model.predict(pd.DataFrame([row])).tolist()[0])
    seconds.append(time.perf_counter() - started)
p50, p99 = np.quantile(seconds[len(seconds) // 10 :], [0.5, 0.99])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
said = {"together": model.predict(together).tolist(), "probabilities": None if probabilities is None else probabilities.tolist(), "alone": alone}
print(json.dumps({**said, "p50": p50 * 1000, "p99": p99 * 1000, "memory": peak}))
"""


def check_servability(model_path: str | Path, rules: Serving) -> list[Check]:
    """Load a model directory in a new Python process and send it the rows recorded at training, all at once and up to 100 one by one.

    Args:
        model_path: The model directory.
        rules: Limits.

    Returns:
        Checks of identical predictions, latency (p99 of one-row requests, with a tenth of them as warm-up), size and memory. If the process dies, the
        only check is a failed one.
    """
    if not rules.check:
        return []
    files = (file for file in Path(model_path).rglob("*") if file.is_file() and EVIDENCE_FOLDER not in file.relative_to(model_path).parts)
    size = sum(file.stat().st_size for file in files) / 2**20
    try:
        record = read_record(model_path)
    except ArtifactError as error:
        return [Check("serving", "failed", f"The predictions recorded at training are missing from the model: {error}")]
    command = [sys.executable, "-c", PROGRAM, str(model_path), str(REQUESTS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_START, check=False)  # noqa: S603  # our own program and paths
    except subprocess.TimeoutExpired:
        return [Check("serving", "failed", f"A fresh process did not load the model and predict within {SECONDS_TO_START} s.")]
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it printed no error"])[-1]
        return [Check("serving", "failed", f"A fresh process cannot load the model and predict: {last[:500]}")]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    different = max(differences(record, found["together"], found["probabilities"]), differences(record, found["alone"], None))
    return [
        _same(different, len(record.rows)),
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


def _same(different: int, rows: int) -> Check:
    if different:
        return Check("serving", "failed", f"A fresh process predicts {different} of {rows} rows differently from the process that fitted the model.")
    return Check("serving", "passed", f"A fresh process loads the model and predicts {rows} rows exactly as at training.")
