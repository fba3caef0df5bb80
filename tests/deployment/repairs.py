"""A whole repair by the parts of the steps: train, compare, fit again, promote, against a real registry and ledger."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from kfp import dsl

from evergreen.data.artifacts import DataManifest, describe_dataset
from evergreen.data.times import iso_time
from evergreen.deployment.challenger import read_challenger
from evergreen.evaluation.comparison import compare
from evergreen.evaluation.gate import parse_gate
from evergreen.models.files import load_model
from evergreen.registry.versions import EVIDENCE_FOLDER, ModelRegistry
from evergreen.results.decision import Decision
from evergreen.training.challenger import TrainingResult, refit_challenger, train_challenger
from evergreen.training.request import TrainingRequest
from support.turning_streams import LOGISTIC

if TYPE_CHECKING:
    from evergreen.deployment.request import Deployment
    from evergreen.models.fitted import FittedModel
    from evergreen.results.evaluation import Evaluation
    from support.registry_fixtures import World

POLICY = "gate: {serving: {check: false}}"


@dataclass
class Repair:
    """What the steps of one run gave back."""

    trained: TrainingResult
    holdout: pd.DataFrame
    evaluation: Evaluation
    challenger: Any
    refit: TrainingResult | None = None
    model: FittedModel | None = None
    deployment: Deployment | None = None


@dataclass
class Workshop:
    """A model's registry and the runs on it."""

    world: World
    runs: list[Repair] = field(default_factory=list)

    def rows(self, frame: pd.DataFrame, name: str) -> Any:
        path = self.world.folder / f"{name}.parquet"
        frame.to_parquet(path, index=False)
        times = frame["time"]
        window = {"start": iso_time(times.min()), "end": iso_time(times.max() + pd.Timedelta(seconds=1))}
        data = dsl.Dataset(name="training_data", uri=str(path), metadata={})
        describe_dataset(data, DataManifest(path.name, [], window, len(frame), {}, f"fingerprint-{name}", window["end"]))
        return data

    def champion(self) -> Any:
        version = self.world.alias()
        model = dsl.Model(name="champion", uri=str(self.world.folder / f"champion-{version}"), metadata={"present": version is not None, "version": version})
        if version is not None:
            shutil.rmtree(model.path, ignore_errors=True)
            self.fetch(version, Path(model.path))
        return model

    def decision(self, changed_at: str = "", *, choose: bool = True) -> Any:
        path = self.world.folder / "decision.json"
        made = Decision("retrain", ["It fell."], True, "performance", champion_stale=True, choose_rows=choose, changed_at=changed_at)
        path.write_text(json.dumps(made.to_json()))
        return dsl.Artifact(name="decision", uri=str(path), metadata={"present": True})

    def train(self, data: Any, name: str, *, decision: Any = None, policy: str = POLICY, **settings: Any) -> tuple[Any, Any, Any]:
        """Return the result of the training step, the challenger and the holdout."""
        model = dsl.Model(name="model", uri=str(self.world.folder / f"{name}-model"), metadata={})
        holdout = dsl.Dataset(name="holdout", uri=str(self.world.folder / f"{name}-holdout"), metadata={})
        given = {"estimator": LOGISTIC, "metric": "roc_auc", **settings}
        request = TrainingRequest(data, "rain", "time", policy_config=policy, champion=self.champion(), decision=decision, **given)
        place = {"model_name": self.world.model_name, "tracking_uri": self.world.tracking_uri, "ledger_uri": self.world.ledger_uri}
        return train_challenger(request, model=model, holdout_data=holdout, **place), model, holdout

    def run(self, frame: pd.DataFrame, name: str, *, decision: Any = None, policy: str = POLICY, **settings: Any) -> Repair:
        """Train, compare with the champion and, if the challenger passes, fit it again and promote it."""
        data, version = self.rows(frame, name), self.world.alias() or "none"
        trained, model, holdout = self.train(data, name, decision=decision, policy=policy, **settings)
        gate = parse_gate(
            margin=0.0, minimum_rows=30, confidence=0.95, resamples=500, seed=7, floors="{}", policy_config=policy, champion_stale=decision is not None
        )
        evaluation, _ = compare(model, self.champion(), holdout, metric=settings.get("metric", "roc_auc"), gate=gate)
        done = Repair(trained, pd.read_parquet(holdout.path), evaluation, model)
        if evaluation.verdict == "promote":
            final = dsl.Model(name="refit", uri=str(self.world.folder / f"{name}-refit"), metadata={})
            place = {"model_name": self.world.model_name, "tracking_uri": self.world.tracking_uri}
            done.refit = refit_challenger(challenger=model, training_data=data, model=final, **place)
            contract = self.world.folder / "contract.yaml"
            contract.write_text("columns:\n  a: {kind: number}\n")
            passed = read_challenger(model=final, evaluation=evaluation, contract_path=str(contract), training_data=data)
            done.deployment = self.world.promote(passed, version, run=name)
            done.model = load_model(final.path)
        self.runs.append(done)
        return done

    def fetch(self, version: str, place: Path) -> None:
        """Copy the files of a version to a place that does not exist yet."""
        with ModelRegistry(self.world.tracking_uri, self.world.model_name).fetched(version) as files:
            shutil.copytree(files, place)

    def evidence(self, version: str, place: Path) -> Path:
        """Return the folder with the evidence that is stored with a version."""
        self.fetch(version, place)
        return place / EVIDENCE_FOLDER
