"""Trains with a search, in a process of its own that a test can kill: ``killed_search.py SETTINGS``, where SETTINGS are arguments of `train_model` as JSON."""

from __future__ import annotations

import json
import sys

from kfp import dsl

from evergreen import train_model

if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    folder = settings.pop("folder")
    train_model.python_func(
        training_data=dsl.Dataset(name="d", uri=f"{folder}/m.parquet", metadata={}),
        model=dsl.Model(name="model", uri=f"{folder}/killed-model", metadata={}),
        holdout_data=dsl.Dataset(name="h", uri=f"{folder}/killed-holdout", metadata={}),
        metrics=dsl.Metrics(name="metrics", uri=f"{folder}/killed-metrics", metadata={}),
        **settings,
    )
