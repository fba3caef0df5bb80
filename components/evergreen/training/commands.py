"""The training command: ``evergreen reproduce``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from evergreen.settings.command_options import DEFAULT_HOME, AsJson, Home, ModelName, TrackingUri


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(reproduce)


def reproduce(  # noqa: PLR0917  # every option of a command is a parameter
    model: ModelName,
    version: Annotated[str, typer.Argument(help="Version of the registered model.", metavar="VERSION")],
    data: Annotated[Path | None, typer.Option("--data", help="The dataset it was trained on. Defaults to its recorded location.")] = None,
    tracking_uri: TrackingUri = None,
    home: Home = DEFAULT_HOME,
    as_json: AsJson = False,
) -> None:
    """Train a registered version again from its records and compare the predictions.

    Exit status: 0 if they are the same, 1 if they differ, 2 for invalid input.
    """
    from evergreen.runs.local_home import LocalHome
    from evergreen.training.reproduction import reproduce as train_again

    found = train_again(model_name=model, version=version, tracking_uri=tracking_uri or LocalHome(home).tracking_uri, data=str(data or ""))
    if as_json:
        typer.echo(json.dumps({**asdict(found), "same": found.same}))
    elif found.same:
        typer.echo(f"The same: fitted again on {found.rows_fitted} rows, the model predicts {found.rows_compared} rows exactly like version {version}.")
    else:
        typer.echo(
            f"Different: fitted again on {found.rows_fitted} rows, the model predicts {found.different} of {found.rows_compared} rows differently from "
            f"version {version}; the largest difference is {found.largest_difference:.3g}. "
            "The library versions used for training are recorded in the MLflow run, in training-*.json."
        )
    if not found.same:
        raise typer.Exit(1)
