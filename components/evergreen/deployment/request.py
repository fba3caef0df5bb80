"""The request for a promotion, and its result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from evergreen.data.artifacts import manifest_of
from evergreen.deployment.errors import DeploymentError
from evergreen.deployment.targets import target_names
from evergreen.registry.ledger import WAITING, Entry
from evergreen.registry.run_decision import decision_of_run
from evergreen.registry.semantic_version import described

if TYPE_CHECKING:
    from evergreen.deployment.challenger import PassedChallenger
    from evergreen.deployment.registered_copy_checks import CopyCheck
    from evergreen.results.evaluation import Evaluation

APPROVALS = ("automatic", "required")
MODES = ("auto", "force", "dry-run")
PROMOTED = "promoted"
EVALUATION = "evaluation"
UNKNOWN = "unknown"
EVIDENCE_OF_THE_GATE = (
    "metric",
    "challenger_score",
    "challenger_lower",
    "challenger_upper",
    "champion_score",
    "champion_version",
    "difference",
    "difference_lower",
    "difference_upper",
    "margin",
    "rows",
    "conclusion",
    "reasons",
    "sentence",
)


@dataclass(frozen=True)
class PromotionRequest:
    """What to promote, which champion it replaces, and how.

    Attributes:
        model_name: Name of the registered model.
        expected_champion: The version that the challenger was compared with, or ``none``.
        targets: Comma-separated serving targets.
        approval: ``automatic`` or ``required``.
        mode: ``auto``, ``force`` or ``dry-run``.
        run_id: ID of the pipeline run.
        step_name: Name of the step.
    """

    model_name: str
    expected_champion: str
    targets: str = "registry"
    approval: str = "automatic"
    mode: str = "auto"
    run_id: str = "none"
    step_name: str = "deploy_model"

    def check(self) -> None:
        """Check that all options are known.

        Raises:
            DeploymentError: An option is unknown.
        """
        if self.approval not in APPROVALS:
            raise DeploymentError(f"Unknown deployment_approval {self.approval!r}. Valid values: {', '.join(APPROVALS)}. Correct the parameter.")
        if self.mode not in MODES:
            raise DeploymentError(f"Unknown policy_mode {self.mode!r}. Valid modes: {', '.join(MODES)}. Correct the parameter.")
        target_names(self.targets)


def compared_champion(expected_champion: str, evaluation: Evaluation) -> str:
    """Return the version that the challenger was compared with.

    Args:
        expected_champion: A version, ``none``, or ``evaluation`` for the version recorded in the evaluation.
        evaluation: The evaluation from `evaluate_model`.

    Raises:
        DeploymentError: The evaluation records no version.
    """
    if expected_champion.strip().lower() != EVALUATION:
        return expected_champion
    version = evaluation.champion_version
    if version == UNKNOWN:
        raise DeploymentError(
            f"expected_champion {EVALUATION!r}: the evaluation does not record which version the challenger was compared with; found {version!r}. "
            "Pass the champion from load_champion or assess_model to evaluate_model, or name the version."
        )
    return version


@dataclass
class Deployment:
    """The result of a deployment; its fields are those of the deployment artifact.

    Attributes:
        outcome: ``promoted``, ``already champion``, ``waiting for approval`` or ``dry run``.
        model_name: Name of the registered model.
        version: The challenger's version, or ``none`` if it was not registered.
        champion_before: The champion's version when the step started, or ``none``.
        champion_after: The champion's version when the step ended, or ``none``.
        model_uri: URI of the model in MLflow.
        sentence: The outcome in one sentence.
        checks: Checks made before the promotion.
        ledger_record: Number of the ledger record, or None.
    """

    outcome: str
    model_name: str
    version: str
    champion_before: str
    champion_after: str
    model_uri: str
    sentence: str
    checks: list[CopyCheck] = field(default_factory=list)
    ledger_record: int | None = None


def ledger_entry(deployment: Deployment, challenger: PassedChallenger, request: PromotionRequest, ledger_uri: str) -> Entry:
    """Return the ledger entry for a promotion, or for a version that is waiting for approval.

    Raises:
        StateError: The run's decision cannot be read.
    """
    promoted = deployment.outcome == PROMOTED
    description, manifest = challenger.description, manifest_of(challenger.training_data)
    return Entry(
        kind="promotion" if promoted else WAITING,
        version_after=deployment.version if promoted else None,
        run_id=request.run_id,
        step_name=request.step_name,
        challenger_id=description.challenger_id,
        evidence={
            **{name: getattr(challenger.evaluation, name) for name in EVIDENCE_OF_THE_GATE},
            "origin": description.origin,
            "former_version": description.former_version,
            "version": deployment.version,
            "targets": request.targets,
            "model_uri": deployment.model_uri,
            "data_fingerprint": description.data_fingerprint,
            "training_manifest": asdict(manifest) if manifest else {},
            "decision_of_run": decision_of_run(ledger_uri, request.run_id),
            **described(description),
            "fit_start": description.fit_start,
            "fit_end": description.fit_end,
            "checks": [asdict(check) for check in deployment.checks],
        },
    )
