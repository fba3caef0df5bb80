"""The registry's commands: ``evergreen history``."""

from __future__ import annotations

import json
from dataclasses import asdict

import typer
from rich.console import Console

from evergreen.command_options import DEFAULT_HOME, AsJson, Home, LedgerUri, ModelName, ledger_store
from evergreen.run_log import plain


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(history)


def history(model: ModelName, ledger_uri: LedgerUri = None, home: Home = DEFAULT_HOME, as_json: AsJson = False) -> None:
    """Show a model's ledger: every promotion, rejection and decision to keep."""
    from evergreen.registry.ledger import Ledger
    from evergreen.run_display import print_history

    records = Ledger(ledger_store(ledger_uri, home), model).records()
    if as_json:
        typer.echo(json.dumps(plain([asdict(record) for record in records]), ensure_ascii=False))
    elif records:
        print_history(Console(), model, records)
    else:
        typer.echo(f"The ledger holds nothing about model {model!r}.")
