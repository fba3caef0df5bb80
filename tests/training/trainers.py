# ruff: noqa: ARG001  # the contract names the arguments; not every trainer here uses them
"""Trainers as a user would write them, for the tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

RATE = 0.5


def logistic(features: Any, labels: Any, *, hyperparameters: dict[str, Any], seed: int, task: str, sample_weight: Any = None) -> Any:
    assert task == "classification"
    return LogisticRegression(random_state=seed, **hyperparameters).fit(features, labels, sample_weight)


def unweighted(features: Any, labels: Any, *, hyperparameters: dict[str, Any], seed: int, task: str) -> Any:
    return LogisticRegression(random_state=seed, **hyperparameters).fit(features, labels)


def nothing(features: Any, labels: Any, **settings: Any) -> None:
    LogisticRegression().fit(features, labels)


def a_number(features: Any, labels: Any, **settings: Any) -> float:
    return float(np.mean(labels))


def not_fitted(features: Any, labels: Any, **settings: Any) -> Any:
    return LogisticRegression()


def failing(features: Any, labels: Any, **settings: Any) -> Any:
    raise RuntimeError("no GPU here")


class Pairs:
    classes_ = np.array([0, 1])

    def predict(self, features: Any) -> Any:
        return np.zeros((len(features), 2))


class Plain:
    classes_ = np.array([0, 1])

    def predict(self, features: Any) -> Any:
        return np.zeros(len(features))


def plain(features: Any, labels: Any, **settings: Any) -> Any:
    return Plain()


def pairs(features: Any, labels: Any, **settings: Any) -> Any:
    return Pairs()
