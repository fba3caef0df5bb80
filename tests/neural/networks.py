# ruff: noqa: ARG001  # the contract names the arguments; not every trainer here uses them
"""Trainers of neural networks as a user would write them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import torch

from evergreen.keras_model import KerasModel
from evergreen.torch_model import TorchModel


def network(inputs: int, outputs: int) -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Linear(inputs, 16), torch.nn.ReLU(), torch.nn.Linear(16, outputs))


def with_torch(features: Any, labels: Any, *, hyperparameters: dict[str, Any], seed: int, task: str, builder: str = "neural_networks:network") -> Any:
    torch.manual_seed(seed)
    classes = np.unique(labels).tolist() if task == "classification" else None
    # Two classes need one logit only.
    arguments = {"inputs": features.shape[1], "outputs": 1 if classes is None or len(classes) == 2 else len(classes)}
    module = network(**arguments)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.02)
    rows = torch.from_numpy(features.astype(np.float32))
    wanted = torch.from_numpy(np.asarray(labels, dtype=np.float32 if classes is None or len(classes) == 2 else np.int64))
    losses = {1: torch.nn.MSELoss() if classes is None else torch.nn.BCEWithLogitsLoss()}
    loss = losses.get(arguments["outputs"], torch.nn.CrossEntropyLoss())
    for _ in range(int(hyperparameters.get("epochs", 60))):
        optimizer.zero_grad()
        said = module(rows)
        loss(said.squeeze(1) if arguments["outputs"] == 1 else said, wanted).backward()
        optimizer.step()
    return TorchModel(module, builder=builder, arguments=arguments, classes=classes)


def with_keras(features: Any, labels: Any, *, hyperparameters: dict[str, Any], seed: int, task: str) -> Any:
    keras.utils.set_random_seed(seed)
    classes = np.unique(labels).tolist() if task == "classification" else None
    last = keras.layers.Dense(1, activation="sigmoid" if classes else None)
    model = keras.Sequential([keras.layers.Input((features.shape[1],)), keras.layers.Dense(16, activation="relu"), last])
    model.compile(loss="binary_crossentropy" if classes else "mse", optimizer=keras.optimizers.Adam(0.01))
    model.fit(features, np.asarray(labels, dtype=np.float32), epochs=int(hyperparameters.get("epochs", 20)), batch_size=64, verbose=0)
    return KerasModel(model, classes=classes)


def with_code_in_a_layer(features: Any, labels: Any, **settings: Any) -> Any:
    model = keras.Sequential([keras.layers.Input((features.shape[1],)), keras.layers.Lambda(lambda x: x[:, :1])])
    return KerasModel(model, classes=np.unique(labels).tolist())
