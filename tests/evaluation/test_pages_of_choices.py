"""What the evaluation page and the model card say of a challenger that was chosen: its origin, and pooled predictions."""

from __future__ import annotations

import pytest

from evergreen.data.artifacts import ModelDescription
from evergreen.evaluation.model_card import model_card
from evergreen.evaluation.report import evaluation_page
from evergreen.results.evaluation import Evaluation

WINDOW = {"start": "2021-10-01T00:00:00Z", "end": "2021-11-01T00:00:00Z"}


def evaluated(**more: object) -> Evaluation:
    content = {
        "verdict": "promote",
        "metric": "accuracy",
        "rows": 364,
        "challenger_id": "abc",
        "scores": {"accuracy": 0.7},
        "challenger_score": 0.7,
        "holdout_window": WINDOW,
    }
    return Evaluation(**{**content, **more})


def described(**more: object) -> ModelDescription:
    times = {"fit_start": "2021-08-01T00:00:00Z", "fit_end": "2021-10-01T00:00:00Z"}
    recipe = {"estimator": "sklearn.linear_model.LogisticRegression", "hyperparameters": {}, "seed": 1}
    columns = {"task": "classification", "target_column": "rain", "timestamp_column": "at", "features": {"temperature": "number"}, "classes": [0, 1]}
    content = {**columns, **times, **recipe, "rows": 500, "data_fingerprint": "f", "challenger_id": "abc"}
    return ModelDescription(**{**content, **more})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "trained"),
        ({"origin": "former champion", "former_version": "3"}, "former champion, version 3"),
        ({"origin": "constant baseline"}, "constant baseline"),
    ],
)
def test_the_origin_of_a_challenger_is_on_its_page_and_its_card(given: dict[str, str], words: str) -> None:
    assert f">{words}</td>" in evaluation_page(evaluated(**given)).replace("\n", "")
    markdown, page = model_card(evaluated(**given), described(**given))
    if given:
        assert f"| Origin | {words} |" in markdown
        assert f">{words}</td>" in page.replace("\n", "")
    else:
        assert "Origin" not in markdown


def test_pooled_predictions_are_explained_wherever_their_scores_stand() -> None:
    words = "The 364 rows are 2 consecutive blocks, whose predictions were pooled"
    for evaluation, expected in ((evaluated(folds=2), True), (evaluated(), False)):
        assert (words in evaluation_page(evaluation)) is expected
        markdown, page = model_card(evaluation, described())
        assert (words in markdown, words in page) == (expected, expected)
        # Rows of the first block are among those that the challenger itself was fitted on.
        assert ("had not seen before" in markdown) is not expected


def test_a_former_champion_is_not_said_to_have_been_refitted() -> None:
    former = {"origin": "former champion", "former_version": "3"}
    assert "refitted" not in model_card(evaluated(**former), described(challenger_id="other", **former))[0]
    assert "refitted" in model_card(evaluated(), described(challenger_id="other"))[0]
