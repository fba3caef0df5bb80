"""What can be wrong with the trigger's configuration or an event."""

from evergreen.errors import EvergreenError


class TriggerError(EvergreenError):
    """The trigger's configuration cannot be used."""


class EventRefusedError(EvergreenError):
    """An event is refused.

    Attributes:
        status: HTTP status of the answer.
        retry_after_s: Seconds after which the sender may try again; nothing when that would not help.
    """

    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        """Say why, and with which status."""
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s
