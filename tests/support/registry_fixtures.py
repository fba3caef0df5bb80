"""A model's world for tests of registry and deployment: MLflow on SQLite, a ledger in a folder, challengers that passed the gate."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from kfp import dsl

from evergreen.data.artifacts import DataManifest, ModelDescription, describe_dataset, read_json
from evergreen.deployment.challenger import PassedChallenger, read_challenger
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.promotion import promote
from evergreen.deployment.request import Deployment, PromotionRequest
from evergreen.registry.ledger import Ledger
from evergreen.results.evaluation import Evaluation
from evergreen.storage.experiments import connect
from evergreen.storage.local import LocalStore
from evergreen.training.fit import fit_recipe
from evergreen.training.mlflow_logging import log_challenger
from evergreen.training.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from mlflow import MlflowClient

FEATURES = {"temperature": "number", "pressure": "number", "city": "category"}
CONTRACT = "columns:\n  temperature: {kind: number}\n"


@dataclass(frozen=True)
class Material:
    """What is made once a session: rows and fitted pipelines."""

    rows: pd.DataFrame
    pipelines: list[Any]


@dataclass(frozen=True)
class World:
    """One test's MLflow, ledger and files."""

    folder: Path
    tracking_uri: str
    material: Material
    model_name: str = "rain"

    @property
    def ledger_uri(self) -> str:
        return str(self.folder / "state")

    @property
    def ledger(self) -> Ledger:
        return Ledger(LocalStore(self.ledger_uri), self.model_name)

    @property
    def client(self) -> MlflowClient:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri)

    def versions(self) -> list[str]:
        return sorted((str(found.version) for found in self.client.search_model_versions(f"name = '{self.model_name}'")), key=int)

    def tags(self, version: str) -> dict[str, str]:
        return dict(self.client.get_model_version(self.model_name, version).tags)

    def alias(self) -> str | None:
        from mlflow.exceptions import MlflowException

        try:
            return str(self.client.get_registered_model(self.model_name).aliases["champion"])
        except (MlflowException, KeyError):
            return None

    def state(self) -> tuple[list[str], str | None, list[str]]:
        """Return versions, alias and the ledger's kinds: all that a failed promotion must leave as it was."""
        return self.versions(), self.alias(), [record.kind for record in self.ledger.records()]

    def challenger(self, name: str, *, weights: int = 0, task: str = "classification") -> dict[str, Any]:
        """Log a model as the training room does; returns the inputs of deploy_model."""
        path = self.folder / name
        path.mkdir()
        rows = self.material.rows
        rows.to_parquet(path / "rows", index=False)
        description = ModelDescription(
            task=task,
            target_column="rain",
            timestamp_column="time",
            features=FEATURES,
            classes=[0, 1],
            fit_start="2020-01-01T00:00:00Z",
            fit_end="2020-02-20T00:00:00Z",
            rows=len(rows),
            estimator="sklearn.linear_model.LogisticRegression",
            hyperparameters={},
            seed=7,
            data_fingerprint="f-1",
            challenger_id=f"id-{name}",
            importances={"temperature": 0.8},
        )
        tracking = connect(self.tracking_uri, self.model_name)
        pipeline = self.material.pipelines[weights]
        logged = log_challenger(tracking, pipeline, path / "model", description=description, role="refit", metrics={}, rows=rows)
        check_rows = rows[list(FEATURES)].tail(30)
        evaluation = {
            "verdict": "promote",
            "conclusion": "better",
            "task": task,
            "rows_seen_by_champion": 0,
            "champion_version": "none",
            "holdout_window": {"start": "2020-02-10T00:00:00Z", "end": "2020-02-19T18:00:00Z"},
            "metric": "accuracy",
            "challenger_score": 0.9,
            "challenger_lower": 0.85,
            "challenger_upper": 0.95,
            "champion_score": 0.8,
            "difference": 0.1,
            "margin": 0.0,
            "rows": 120,
            "naive_score": 0.5,
            "scores": {"accuracy": 0.9},
            "reasons": ["It is better."],
            "sentence": "The challenger is better.",
            "challenger_id": f"judged-{name}",
            # Most tests are about other things than a process of its own.
            "serving": {"check": False},
            "check_rows": json.loads(check_rows.to_json(orient="records")),
            "check_predictions": pipeline.predict(check_rows).tolist(),
        }
        (path / "evaluation").write_text(json.dumps(evaluation))
        (path / "contract").write_text(CONTRACT)
        model = dsl.Model(name="model", uri=str(path / "model"), metadata={"model_uri": logged.model_uri, "mlflow_run_id": logged.run_id})
        training_data = dsl.Dataset(name="training_data", uri=str(path / "rows"), metadata={})
        window = {"start": description.fit_start, "end": description.fit_end}
        describe_dataset(training_data, DataManifest("rows.parquet", [], window, len(rows), {}, "f-1", "2020-02-20T00:00:00Z"))
        return {
            "model": model,
            "evaluation": dsl.Artifact(name="evaluation", uri=str(path / "evaluation"), metadata={}),
            "contract": dsl.Artifact(name="contract", uri=str(path / "contract"), metadata={}),
            "training_data": training_data,
        }

    def passed(self, inputs: dict[str, Any], **changes: Any) -> PassedChallenger:
        evaluation = {**read_json(inputs["evaluation"].path), **changes}
        read = Evaluation.from_json(evaluation, source="evaluation", error=DeploymentError)
        return read_challenger(model=inputs["model"], evaluation=read, contract_path=inputs["contract"].path, training_data=inputs["training_data"])

    def promote(self, challenger: PassedChallenger, expected: str = "none", *, run: str = "run-1", ledger: bool = True, **settings: Any) -> Deployment:
        request = PromotionRequest(self.model_name, expected, run_id=run, **settings)
        return promote(challenger, request, tracking_uri=self.tracking_uri, ledger_uri=self.ledger_uri if ledger else "none")

    def outputs(self, name: str = "loaded") -> dict[str, Any]:
        """Return fresh outputs for load_champion."""
        kinds = {"model": dsl.Model, "reference_data": dsl.Dataset, "contract": dsl.Artifact, "baseline": dsl.Artifact}
        return {kind: make(name=kind, uri=str(self.folder / name / kind), metadata={}) for kind, make in kinds.items()}

    def at(self, tracking_uri: str, **changes: Any) -> World:
        return replace(self, tracking_uri=tracking_uri, **changes)


@pytest.fixture(autouse=True)
def no_run_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_EXPERIMENT_ID", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def make_material(make_events: Callable[..., pd.DataFrame]) -> Material:
    rows = make_events(days=50, per_day=4).drop(columns="humidity")
    recipes = [Recipe("classification", "sklearn.linear_model.LogisticRegression", {"C": strength}, 7) for strength in (1.0, 0.01)]
    return Material(rows, [fit_recipe(recipe, rows, target_column="rain", features=FEATURES, classes=[0, 1]).pipeline for recipe in recipes])


@pytest.fixture
def world(tmp_path: Path, empty_database: Path, material: Material) -> World:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return World(tmp_path, f"sqlite:///{tmp_path}/mlflow.db", material)


def ledger_bytes(world: World) -> dict[str, bytes]:
    """Return everything below the ledger's folder."""
    folder = Path(world.ledger_uri) / "ledger"
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


__all__ = ["World", "ledger_bytes", "make_material", "no_run_from_outside", "world"]
