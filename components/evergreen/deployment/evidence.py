"""The evidence stored with a version: reference sample, contract, baseline and model card."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import manifest_of, open_table, read_json, write_json
from evergreen.data.json_values import plain, to_json
from evergreen.deployment.errors import DeploymentError
from evergreen.registry.champion import BASELINE_FILE, CARD_FILE, CARD_PAGE_FILE, CONTRACT_FILE, REFERENCE_FILE
from evergreen.results.baseline import Baseline
from evergreen.secrets.redaction import mask_json

if TYPE_CHECKING:
    from evergreen.data.artifacts import ModelDescription
    from evergreen.deployment.challenger import PassedChallenger
    from evergreen.results.evaluation import Evaluation

REFERENCE_ROWS = 20_000
REFERENCE_SEED = 20_000


def write_evidence(challenger: PassedChallenger, folder: Path) -> None:
    """Write a challenger's reference sample, contract, baseline and model card to a folder.

    Raises:
        DeploymentError: The evaluation contains no score.
        ArtifactError: The training rows cannot be read.
    """
    write_reference(folder / REFERENCE_FILE, challenger.training_data.path, challenger.description)
    shutil.copyfile(challenger.contract_path, folder / CONTRACT_FILE)
    write_json(folder / BASELINE_FILE, _baseline(challenger.description, challenger.evaluation, challenger.training_data))
    for name, text in _card(challenger).items():
        (folder / name).write_text(text, encoding="utf-8")


def evidence_differs(challenger: PassedChallenger, folder: Path) -> bool:
    """Return whether the evidence stored with a version is incomplete or differs from the gate's current evidence.

    A version that waited for approval, or whose promotion was superseded, may later pass another gate, for instance with another metric.
    """
    import json

    card = _card(challenger)
    files = (folder / REFERENCE_FILE, folder / CONTRACT_FILE, folder / BASELINE_FILE, *(folder / name for name in card))
    if not all(file.is_file() for file in files):
        return True
    if any((folder / name).read_text(encoding="utf-8") != text for name, text in card.items()):
        return True
    baseline = to_json(mask_json(plain(_baseline(challenger.description, challenger.evaluation, challenger.training_data))))
    return read_json(folder / BASELINE_FILE) != json.loads(baseline) or files[1].read_bytes() != Path(challenger.contract_path).read_bytes()


def write_reference(target: Path, source: str, description: ModelDescription) -> None:
    """Write a random sample of at most 20,000 of the rows that a model was fitted on, in their original order, with features, label and event time only.

    Older rows may hold a relation between inputs and label that no longer exists. Identical rows give an identical sample, byte for byte.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from evergreen.data.columns import event_times

    table = open_table(source)
    columns = [*description.features, description.target_column, description.timestamp_column]
    rows = table.to_table(columns=columns)
    times = event_times(rows.column(description.timestamp_column).to_pandas())
    rows = rows.filter(pa.array((times >= pd.Timestamp(description.fit_start)) & (times < pd.Timestamp(description.fit_end))))
    total = rows.num_rows
    if total > REFERENCE_ROWS:
        chosen = np.sort(np.random.default_rng(REFERENCE_SEED).choice(total, REFERENCE_ROWS, replace=False))
        rows = rows.take(pa.array(chosen))
    pq.write_table(rows, target)


def _card(challenger: PassedChallenger) -> dict[str, str]:
    from evergreen.evaluation.model_card import model_card

    markdown, page = model_card(challenger.evaluation, challenger.description)
    return {CARD_FILE: markdown, CARD_PAGE_FILE: page}


def _baseline(description: ModelDescription, evaluation: Evaluation, training_data: Any) -> dict[str, Any]:
    if evaluation.challenger_score is None:
        raise DeploymentError("evaluation: it contains no score for the challenger. Pass the output of evaluate_model to deploy_model.")
    manifest = manifest_of(training_data)
    return Baseline(
        task=description.task,
        metric=evaluation.metric,
        score=evaluation.challenger_score,
        lower=evaluation.challenger_lower,
        upper=evaluation.challenger_upper,
        rows=evaluation.rows,
        naive_score=evaluation.naive_score,
        # Monitoring compares later errors and confidences with these.
        calibration=evaluation.calibration,
        errors=evaluation.errors,
        fit_start=description.fit_start,
        fit_end=description.fit_end,
        features=description.features,
        importances=dict(description.importances),
        challenger_id=description.challenger_id,
        evaluated_challenger_id=evaluation.challenger_id,
        target_column=description.target_column,
        timestamp_column=description.timestamp_column,
        training_manifest=asdict(manifest) if manifest else {},
    ).to_json()
