"""Weights of classes: a mapping whose keys are classes, which JSON can only write as text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mlflow import MlflowClient

from evergreen.models.files import load_model, read_description
from evergreen.registry.versions import ModelRegistry
from evergreen.training.errors import TrainingError
from evergreen.training.reproduction import reproduce

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

LOGISTIC = "sklearn.linear_model.LogisticRegression"
TREE = "sklearn.tree.DecisionTreeClassifier"
AS_NUMBERS: dict[str, list[Any]] = {"labels": [1, 2], "named": ["1", "2"]}
AS_TRUTH: dict[str, list[Any]] = {"labels": [False, True], "named": ["false", "true"]}
AS_TEXT: dict[str, list[Any]] = {"labels": ["dry", "wet"], "named": ["dry", "wet"]}


def labelled(frame: pd.DataFrame, labels: list[Any]) -> pd.DataFrame:
    return frame.assign(rain=frame["rain"].map(dict(enumerate(labels))))


def share_of_second(artifacts: dict[str, Any], frame: pd.DataFrame, labels: list[Any]) -> float:
    return float((load_model(artifacts["model"].path).predict(frame) == labels[1]).mean())


@pytest.mark.parametrize("classes", [AS_NUMBERS, AS_TRUTH, AS_TEXT])
@pytest.mark.parametrize("estimator", [LOGISTIC, "auto", "sklearn.ensemble.RandomForestClassifier", "lightgbm.LGBMClassifier"])
def test_hyperparameters_weigh_classes_by_their_names(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], classes: dict[str, list[Any]], estimator: str
) -> None:
    frame = labelled(make_events(days=60), classes["labels"])
    # What the class of the same rows weighs does not depend on what it is called.
    frame["temperature"] = frame["temperature"].round()
    given: dict[str, Any] = {} if estimator == LOGISTIC else {"max_leaf_nodes" if estimator != "lightgbm.LGBMClassifier" else "num_leaves": 3}
    probabilities = []
    for name, weights in (("first", [50.0, 1.0]), ("second", [1.0, 50.0])):
        weighed = dict(zip(classes["named"], weights, strict=True))
        _, artifacts = run_training(frame, estimator=estimator, hyperparameters=json.dumps({**given, "class_weight": weighed}), name=name)
        model = load_model(artifacts["model"].path)
        assert model.description.hyperparameters["class_weight"] == weighed
        probabilities.append(model.predict_probability(frame)[:, 1].mean())
    assert probabilities[0] + 0.2 < probabilities[1]


@pytest.mark.parametrize(
    ("classes", "space", "method"),
    [
        (AS_NUMBERS, "{class_weight: [{1: 1, 2: 1000}]}", "random"),
        (AS_NUMBERS, "{class_weight: [{1: 1, 2: 1000}]}", "halving"),
        (AS_NUMBERS, "{class_weight: [{1: 1, 2: 1000}]}", "optuna"),
        (AS_NUMBERS, '{"class_weight": [{"1": 1, "2": 1000}]}', "random"),
        (AS_TRUTH, "{class_weight: [{false: 1, true: 1000}]}", "random"),
        (AS_TEXT, "{class_weight: [{dry: 1, wet: 1000}]}", "random"),
    ],
)
def test_a_search_weighs_classes_as_yaml_or_json_writes_them(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], classes: dict[str, list[Any]], space: str, method: str
) -> None:
    frame = labelled(make_events(days=60), classes["labels"])
    _, artifacts = run_training(frame, estimator=LOGISTIC, search=f"{{n_iter: 1, method: {method}, splits: stratified, space: {space}}}")
    assert share_of_second(artifacts, frame, classes["labels"]) > 0.8
    assert read_description(artifacts["model"].path).hyperparameters == {"class_weight": dict(zip(classes["named"], [1, 1000], strict=True))}


def test_weights_that_are_given_hold_while_something_else_is_searched(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], capfd: pytest.CaptureFixture[str]
) -> None:
    frame = make_events(days=60)
    given = {"estimator": LOGISTIC, "hyperparameters": '{"class_weight": {"0": 1, "1": 1000}}'}
    _, artifacts = run_training(frame, search="{n_iter: 2, splits: stratified, space: {C: [0.1, 1.0]}}", **given)
    assert share_of_second(artifacts, frame, [0, 1]) > 0.8
    # The weighted candidates were scored, and not passed over because they could not be fitted.
    assert len([line for line in capfd.readouterr().err.splitlines() if line.startswith("search: candidate") and "0." in line.rpartition(": ")[2]]) == 2


def test_one_recipe_is_one_challenger_however_it_is_written(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    frame = make_events(days=60)
    ids = [
        run_training(frame, estimator=LOGISTIC, search=f"{{n_iter: 1, space: {{class_weight: [{written}]}}}}")[0]
        for written in ("{0: 1, 1: 5}", '{"0": 1, "1": 5}', "{'0': 1, '1': 5}")
    ]
    assert len(set(ids)) == 1


def test_a_model_with_class_weights_is_trained_again_from_what_was_recorded(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], tracking_uri: str, tmp_path: Path
) -> None:
    _, artifacts = run_training(make_events(days=60), estimator=TREE, search="{n_iter: 1, space: {class_weight: [{0: 1, 1: 5}], max_depth: [3]}}")
    name = tmp_path.name
    registry = ModelRegistry(tracking_uri, name)
    registry.register_files(Path(artifacts["model"].path), challenger_id=artifacts["model"].metadata["challenger_id"], tags={})
    run = MlflowClient(tracking_uri=tracking_uri).get_run(artifacts["model"].metadata["mlflow_run_id"])
    assert run.data.params["hyperparameters.class_weight"] == "{'0': 1, '1': 5}"
    found = reproduce(model_name=name, version="1", tracking_uri=tracking_uri)
    assert found.same
    assert found.rows_compared > 100


@pytest.mark.parametrize("estimator", [LOGISTIC, "auto", "lightgbm.LGBMClassifier"])
def test_classes_that_are_none_are_named(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], estimator: str) -> None:
    expected = r"Unknown class 'dry', 'wet' in hyperparameter 'class_weight'. Valid classes: '0', '1'. Write classes as text, as in \{\"0\": 1"
    with pytest.raises(TrainingError, match=expected):
        run_training(make_events(days=60), estimator=estimator, hyperparameters='{"class_weight": {"dry": 1, "wet": 5}}')


@pytest.mark.parametrize("estimator", [LOGISTIC, "auto", "lightgbm.LGBMClassifier"])
def test_a_weight_of_a_class_that_the_rows_lack_does_not_matter(
    run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame], estimator: str
) -> None:
    frame = make_events(days=60)
    # A class of the newest rows: neither the rows to fit on nor the folds before them hold it.
    frame.loc[frame.index >= 230, "rain"] = 2
    weights = '{"class_weight": {"2": 3, "1": 2}}'
    _, artifacts = run_training(frame, estimator=estimator, hyperparameters=weights, search="{n_iter: 1, space: {random_state: [1]}}")
    assert read_description(artifacts["model"].path).classes == [0, 1]
    # A class that no row has any more, when every other one is weighed.
    _, artifacts = run_training(make_events(days=60), estimator=estimator, hyperparameters='{"class_weight": {"0": 1, "1": 2, "2": 3}}', name="gone")
    assert read_description(artifacts["model"].path).classes == [0, 1]


def test_hyperparameters_that_are_no_json_say_how_a_class_is_written(run_training: Callable[..., Any], make_events: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(TrainingError, match=r'not JSON: .*\{"class_weight": \{"0": 1, "1": 5\}\}'):
        run_training(make_events(days=60), estimator=LOGISTIC, hyperparameters='{"class_weight": {0: 1, 1: 5}}')
