"""Try again what may pass, with growing pauses and a bound on the whole."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from evergreen.ingestion.errors import IngestionError

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """How long to go on.

    Attributes:
        total_seconds: No new attempt starts later than this after the first.
        first_pause_seconds: Pause after the first failure; it doubles each time, and a random part of it is left out so
            that many steps do not come back at the same moment.
        longest_pause_seconds: Bound of one pause.
    """

    total_seconds: float = 120.0
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 15.0


def with_retries(action: Callable[[], Result], *, may_pass: Callable[[Exception], bool], what: str, policy: RetryPolicy) -> Result:
    """Return what an action returns, trying again when its error may pass.

    Args:
        action: What to do; it starts anew on every attempt.
        may_pass: Tells whether an error may be gone at the next attempt; any other error is raised as it is.
        what: What is being done, for the message.
        policy: How long to go on.

    Raises:
        IngestionError: The time was used up.
    """
    started, attempts = time.monotonic(), 0
    while True:
        attempts += 1
        try:
            return action()
        except Exception as error:
            if not may_pass(error):
                raise
            pause = min(policy.first_pause_seconds * 2 ** min(attempts - 1, 30), policy.longest_pause_seconds) * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, keeps no secret
            spent = time.monotonic() - started
            if spent + pause > policy.total_seconds:
                raise IngestionError(
                    f"{what}: gave up after {attempts} {'attempt' if attempts == 1 else 'attempts'} in {spent:.0f} s; the last one failed with: {error}. "
                    "Check the service and the network, and run the step again."
                ) from error
            time.sleep(pause)
