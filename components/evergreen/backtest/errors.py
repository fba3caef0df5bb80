"""Errors of backtests."""

from evergreen.errors import EvergreenError


class BacktestError(EvergreenError):
    """The history, the settings or the policies of a backtest are invalid."""


class LookAheadError(BacktestError):
    """Labels that were not known yet were requested."""
