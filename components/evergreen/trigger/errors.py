"""Errors in the trigger's configuration and in events."""

from evergreen.errors import EvergreenError


class TriggerError(EvergreenError):
    """The trigger's configuration is invalid."""


class EventRefusedError(EvergreenError):
    """An event is rejected.

    Attributes:
        status: HTTP status of the response.
        retry_after_s: Seconds after which the sender may retry; None if retrying would not help.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        """Set the reason and the HTTP status."""
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
