"""What a challenger learns from and what is held out: all rows but the newest ones, or what the choice among candidates found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evergreen.data.artifacts import is_present, read_json
from evergreen.evaluation.forward_predictions import with_forward
from evergreen.evaluation.gate_settings import GateSettings
from evergreen.metrics.predictions import ScoringError
from evergreen.metrics.scoring import resolve_metric
from evergreen.models.files import load_model
from evergreen.results.decision import Decision
from evergreen.settings.policy_sections import read_policy_section
from evergreen.training.choice.candidates import FormerChampion
from evergreen.training.choice.choosing import Choice, ChoiceRequest, choose
from evergreen.training.choice.former import read_former_champions
from evergreen.training.description import fit_part
from evergreen.training.errors import TrainingError
from evergreen.training.fit import Fit, measure_importances
from evergreen.training.recipe import Recipe, challenger_id
from evergreen.training.training_rows import feature_kinds

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.data.artifacts import ModelDescription, Origin
    from evergreen.metrics.predictions import Predictions
    from evergreen.training.job import TrainingJob
    from evergreen.training.request import TrainingRequest
    from evergreen.training.search.memory import SearchMemory
    from evergreen.training.training_rows import TrainingRows

FORMER_CHAMPION: Origin = "former champion"


@dataclass(frozen=True)
class TrainingPlan:
    """Which rows a challenger learns from, and which are held out.

    Attributes:
        recipe: The recipe.
        identifier: ID of the challenger.
        first: Position of the first row to learn from.
        before: Position after the last row to learn from, where the holdout begins.
        forward: Predictions made in advance, for the newest rows up to ``before``, on which the gate compares, too; None for none.
        former: The former champion that is the challenger; None if one is fitted.
        origin: ``trained``, ``former champion`` or ``constant baseline``.
    """

    recipe: Recipe
    identifier: str
    first: int
    before: int
    forward: Predictions | None = None
    former: FormerChampion | None = None
    origin: Origin = "trained"

    @property
    def compared_from(self) -> int:
        """Position of the first row that the gate compares on."""
        return self.before - (len(self.forward) if self.forward is not None else 0)

    def held_out(self, rows: TrainingRows) -> pd.DataFrame:
        """Return the rows that the gate compares on, with the predictions made in advance."""
        compared = rows.frame.iloc[self.compared_from :]
        return compared if self.forward is None else with_forward(compared, self.forward)

    def fit(self, rows: TrainingRows, *, classes: list[Any], memory: SearchMemory | None = None) -> tuple[Fit, ModelDescription]:
        """Fit the challenger, and measure the feature importances on the holdout; a former champion stays as it was.

        Raises:
            TrainingError: The rows or the recipe do not allow training.
        """
        if self.former is not None:
            model = self.former.model
            recipe = replace(self.recipe, estimator=model.description.estimator, hyperparameters=model.description.hyperparameters)
            described = replace(model.description, challenger_id=self.identifier, origin=FORMER_CHAMPION, former_version=self.former.version)
            return Fit(model.pipeline, recipe, {}), described
        features = feature_kinds(rows.frame.iloc[: self.before], rows.feature_names)
        fit, description = fit_part(
            rows, self.recipe, features=features, classes=classes, identifier=self.identifier, first=self.first, before=self.before, memory=memory
        )
        held_out = rows.frame.iloc[self.before :]
        importances = measure_importances(fit, held_out, target_column=rows.target_column, features=features, classes=classes)
        return fit, replace(description, importances=importances, origin=self.origin)


def ordinary_plan(job: TrainingJob) -> TrainingPlan:
    """Return the plan without a choice: the newest share of the rows is held out, and the challenger learns from all others."""
    return TrainingPlan(job.recipe, job.challenger_id, 0, int(job.rows.times.searchsorted(job.holdout_start)))


def chosen_plan(job: TrainingJob, choice: Choice) -> TrainingPlan:
    """Return the plan for what was chosen."""
    plan = planned(choice, job.recipe, identifier="")
    role = f"challenger, {plan.origin}, {choice.contender.name}, rows {plan.first} to {choice.blocks.holdout} of {choice.blocks.rows}"
    columns = (job.rows.target_column, job.rows.timestamp_column)
    return replace(plan, identifier=challenger_id(plan.recipe, role=role, columns=columns, data_fingerprint=job.rows.fingerprint))


def planned(choice: Choice, recipe: Recipe, *, identifier: str) -> TrainingPlan:
    """Return the plan for what was chosen, under an ID.

    Args:
        choice: The choice.
        recipe: The recipe asked for.
        identifier: ID of the challenger.
    """
    contender, blocks = choice.contender, choice.blocks
    if isinstance(contender, FormerChampion):
        return TrainingPlan(recipe, identifier, 0, blocks.holdout, choice.forward, contender, contender.origin)
    return TrainingPlan(contender.final_recipe(recipe), identifier, contender.first_row, blocks.holdout, choice.forward, origin=contender.origin)


def choose_for(job: TrainingJob, request: TrainingRequest, *, model_name: str, tracking_uri: str, ledger_uri: str) -> tuple[Choice | None, list[str]]:
    """Choose what the challenger learns from, if the decision asks for it, and return warnings about candidates that could not take part.

    Args:
        job: The rows and the recipe.
        request: The inputs of the step.
        model_name: Name of the registered model.
        tracking_uri: Address of the MLflow server.
        ledger_uri: Folder or bucket for the ledger.

    Raises:
        TrainingError: The metric is unknown, or the decision cannot be read.
        ModelError: The champion cannot be loaded.
    """
    if not is_present(request.decision) or request.champion is None or not is_present(request.champion):
        return None, []
    decision = Decision.from_json(read_json(request.decision.path), source=f"decision {request.decision.path}", error=TrainingError)
    if not decision.choose_rows:
        return None, []
    champion = load_model(request.champion.path)
    if champion.description.task != job.recipe.task:
        return None, [f"Nothing was chosen: the champion is for {champion.description.task}, and the labels are for {job.recipe.task}."]
    if champion.description.target_column != job.rows.target_column:
        return None, [f"Nothing was chosen: the champion predicts {champion.description.target_column!r}, and the label is {job.rows.target_column!r}."]
    try:
        metric = resolve_metric(request.metric, job.recipe.task)
    except ScoringError as error:
        raise TrainingError(f"evaluation_{error}") from error
    former, problems = read_former_champions(tracking_uri=tracking_uri, ledger_uri=ledger_uri, model_name=model_name, champion=champion.description)
    allowed = read_policy_section(request.policy_config, "gate", GateSettings).allow_baseline
    asked = ChoiceRequest(job.rows, job.recipe, job.classes, metric, champion, tuple(former), decision.changed_at, allowed, request.holdout_share)
    try:
        choice = choose(asked)
    except TrainingError as error:
        # Where no model at all can be fitted, the ordinary training says why.
        return None, [*problems, f"Nothing was chosen: {error}"]
    if choice is None:
        problems.append("Nothing was chosen: too few labelled rows are newer than the champion. The challenger learns from all rows but the newest.")
    return choice, problems
