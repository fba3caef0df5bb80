"""The error of the validation room."""

from evergreen.errors import EvergreenError


class ContractError(EvergreenError):
    """Data violates its contract, or a contract cannot be read."""
