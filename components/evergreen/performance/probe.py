"""The probe: would a new model be better than the champion?

Whether a champion got worse is a question about the past; whether a retraining pays is another one. So small models of the champion's recipe are
fitted on several training windows that end before the newest rows, and compared with the champion on these. The windows are counted in rows, because
after a change the shortest may be best, and without one the longest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from evergreen.data.columns import event_times
from evergreen.data.times import iso_time
from evergreen.metrics.predictions import Predictions, ScoringError
from evergreen.metrics.scoring import paired_bootstrap
from evergreen.models.fitted import FittedModel
from evergreen.results.performance import Probe, ProbedModel
from evergreen.training.choice.candidates import ChoiceRows
from evergreen.training.description import fit_part
from evergreen.training.errors import TrainingError
from evergreen.training.recipe import AUTOMATIC, Recipe
from evergreen.training.training_rows import training_rows

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.metrics.scoring import Metric
    from evergreen.performance.settings import ProbeSettings
    from evergreen.performance.watched_rows import WatchedModel
    from evergreen.training.training_rows import TrainingRows

WINDOWS = 4
LONGER = 3
"""Each training window is three times as long as the one before."""
RESAMPLES = 1000
FEWEST_PROBED_ROWS = 40
ENOUGH_PROBED_ROWS = 200
"""So many are probed even if the window is small, where rows of earlier windows are new to the champion, too."""
SHARE_PROBED = 3
"""A third of the new rows is probed, so that the shortest training windows lie within the new rows, too."""


@dataclass(frozen=True)
class ProbeRequest:
    """What the probe compares.

    Attributes:
        watched: The champion.
        new_rows: Labelled rows that it has not seen, from all windows that are known.
        older_rows: Labelled rows that it has seen, or a sample of them; None if there are none.
        window_rows: Number of labelled rows in the monitored window.
        target_column: Name of the label column.
        timestamp_column: Name of the event time column.
        metric: The metric.
        settings: How to probe.
        seed: Random seed of the resamples.
    """

    watched: WatchedModel
    new_rows: pd.DataFrame
    older_rows: pd.DataFrame | None
    window_rows: int
    target_column: str
    timestamp_column: str
    metric: Metric
    settings: ProbeSettings
    seed: int


def run_probe(request: ProbeRequest) -> Probe:
    """Fit small models on several training windows, and compare each with the champion on the newest rows.

    A model is better if its gain is at least the minimum that matters, and the lower bound of its gain is above 0. The bound is corrected for the number
    of models (Bonferroni), because the best of several scores is partly the luckiest.

    Args:
        request: The champion, the rows and the settings.
    """
    settings = request.settings
    wanted = max(request.window_rows // SHARE_PROBED, min(ENOUGH_PROBED_ROWS, len(request.new_rows) // SHARE_PROBED), FEWEST_PROBED_ROWS)
    probed = min(wanted, settings.most_probed_rows, len(request.new_rows) // 2)
    if probed < FEWEST_PROBED_ROWS:
        needed = 2 * FEWEST_PROBED_ROWS
        return Probe(
            "cannot tell", f"The probe cannot tell: {len(request.new_rows)} labelled rows are newer than the champion; at least {needed} are required."
        )
    try:
        rows, context, recipe = _prepare(request)
        start = _first_probed(rows.times, probed)
        # The rows as they came: logged predictions are columns of them.
        newest = request.new_rows.tail(len(rows.times) - start)
        champion = request.watched.predictions(newest, target_column=request.target_column)
        champion_score = request.metric.score_rows(champion)
        minimum = _minimum_gain(request, champion)
    except (ScoringError, TrainingError) as error:
        return Probe("cannot tell", f"The probe cannot tell: {error}")
    models = [_probed(request, context, recipe, champion, first=first, before=start) for first in _starts(start, probed, settings.most_fitted_rows)]
    scored = [model for model in models if model.score is not None]
    untold = "The probe cannot tell: no model could be fitted on the rows before the newest ones."
    found = Probe("cannot tell", untold, request.metric.name, len(newest), iso_time(rows.times.iloc[start]), champion_score, minimum, models=models)
    if not scored:
        return found
    best = max(scored, key=lambda model: model.score or 0.0)
    better = [model for model in scored if (model.gain or 0.0) >= minimum and (model.gain_lower or 0.0) > 0]
    if better:
        best = max(better, key=lambda model: model.gain or 0.0)
        return replace(found, verdict="better", sentence=f"{_comparison(best, found)}.", best=best)
    rest = f"so a new model would be no better by the {minimum:.2g} that matters"
    return replace(found, verdict="no better", sentence=f"{_comparison(best, found)}, {rest}.", best=best)


def _prepare(request: ProbeRequest) -> tuple[TrainingRows, ChoiceRows, Recipe]:
    import pandas as pd

    described = request.watched.description
    columns = [*described.features, request.target_column, request.timestamp_column]
    missing = [name for name in columns if name not in request.new_rows.columns]
    if missing:
        raise ScoringError(f"the rows lack the feature {missing[0]!r}, which the champion was fitted with.")
    parts = [request.new_rows[columns]]
    if request.older_rows is not None and set(columns) <= set(request.older_rows.columns) and len(request.older_rows):
        parts.insert(0, request.older_rows[columns])
    frame = pd.concat([part.assign(**{request.timestamp_column: event_times(part[request.timestamp_column])}) for part in parts], ignore_index=True)
    rows = training_rows(frame, {"fingerprint": "probe"}, target_column=request.target_column, timestamp_column=request.timestamp_column)
    options = {name: value for name, value in described.training_options.items() if name != "sample_rows"}
    recipe = Recipe(described.task, described.estimator, described.hyperparameters, described.seed, options=options)
    if described.origin == "constant baseline":
        # A constant fitted again is a constant; the question is whether a model has become possible.
        recipe = replace(recipe, estimator=AUTOMATIC[described.task], hyperparameters={})
    return rows, ChoiceRows(rows, dict(described.features), list(described.classes)), recipe


def _first_probed(times: pd.Series[pd.Timestamp], probed: int) -> int:
    """Return the position of the first row to compare on; rows of one time are never separated."""
    first = int(times.searchsorted(times.iloc[len(times) - probed], side="left"))
    if not first:
        raise ScoringError(f"none of the {len(times)} labelled rows is older than the newest ones, which have the time {iso_time(times.iloc[0])}.")
    return first


def _starts(before: int, shortest: int, most: int) -> list[int]:
    """Return the first rows of the training windows, the shortest first, without the same one twice."""
    lengths = [min(shortest * LONGER**power, most, before) for power in range(WINDOWS)]
    return sorted({before - length for length in lengths}, reverse=True)


def _probed(request: ProbeRequest, context: ChoiceRows, recipe: Recipe, champion: Predictions, *, first: int, before: int) -> ProbedModel:
    rows = context.rows
    days = (rows.times.iloc[before] - rows.times.iloc[first]).total_seconds() / 86_400
    unscored = ProbedModel(f"the last {_length(days)}", iso_time(rows.times.iloc[first]), before - first)
    try:
        fit, description = fit_part(rows, recipe, features=context.features, classes=context.classes, identifier="probe", first=first, before=before)
        said = context.predictions(FittedModel(fit.pipeline, description), before, len(rows.times))
        # One-sided: only a gain counts.
        confidence = 1 - 2 * request.settings.false_alarms / WINDOWS
        gain = paired_bootstrap(request.metric, said, champion, confidence=confidence, resamples=RESAMPLES, seed=request.seed)
        return ProbedModel(unscored.name, unscored.start, unscored.rows, request.metric.score_rows(said), gain.score, gain.lower)
    except (TrainingError, ScoringError):
        # One class only, or a feature without a value in so short a window; the others may do.
        return unscored


def _length(days: float) -> str:
    if days >= 2:
        return f"{days:,.0f} days"
    return f"{days * 24:.0f} hours" if days * 24 >= 2 else f"{days * 1440:.0f} minutes"


def _minimum_gain(request: ProbeRequest, champion: Predictions) -> float:
    """Return the smallest gain that matters: the one set, or a share of the distance between the constant baseline's score and a perfect one."""
    if request.settings.minimum_gain is not None:
        return request.settings.minimum_gain
    from evergreen.evaluation.constant_baseline import naive_predictions

    naive = naive_predictions(champion, metric_name=request.metric.name)
    classes = list(champion.classes)
    certain = np.array([[1.0 if label == value else 0.0 for value in classes] for label in champion.labels]) if classes else None
    perfect = Predictions(champion.labels, champion.labels, certain, champion.classes)
    return request.settings.minimum_gain_share * abs(request.metric.score_rows(perfect) - request.metric.score_rows(naive))


def _comparison(best: ProbedModel, found: Probe) -> str:
    return (
        f"A model of {best.name} would score {best.score or 0.0:.3g} in {found.metric} on the newest {found.rows} rows; "
        f"the champion scores {found.champion_score or 0.0:.3g}"
    )


def labelled_in_order(frames: list[pd.DataFrame], *, target_column: str, timestamp_column: str) -> Any:
    """Return the labelled rows of several frames as one, oldest first."""
    import pandas as pd

    rows = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    times = event_times(rows[timestamp_column])
    kept = rows[target_column].notna() & times.notna()
    order = times[kept].sort_values(kind="stable").index
    return rows.loc[order].assign(**{timestamp_column: times.loc[order]}).reset_index(drop=True)
