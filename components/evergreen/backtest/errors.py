"""What a user can get wrong about a backtest."""

from evergreen.errors import EvergreenError


class BacktestError(EvergreenError):
    """The history, the settings or the policies of a backtest cannot be used."""


class LookAheadError(BacktestError):
    """Something asked for labels that were not known yet."""
