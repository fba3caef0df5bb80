"""Retries requests while a service is unavailable: one function for every step, store and source.

Kubeflow Pipelines restarts a pod only if it was lost, never after a step failed, so the step itself waits for a server that
is restarting. The libraries' own retries are disabled so that they do not multiply the waits, and so that the log says what
the step is waiting for.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NoReturn, TypeVar

from evergreen.errors import EvergreenError, StateError
from evergreen.secrets.addresses import without_credentials, without_password
from evergreen.storage.uris import runs_in_a_pod

if TYPE_CHECKING:
    from tenacity import RetryCallState

Result = TypeVar("Result")

SECONDS_VARIABLE = "EVERGREEN_RETRY_SECONDS"
SECONDS_ON_A_CLUSTER, SECONDS_AT_A_TERMINAL = 600.0, 20.0
HALF_OF_FIRST_PAUSE, HALF_OF_LONGEST_PAUSE = 0.25, 7.5
LONGEST_REASON = 300

_STATEMENT = re.compile(r"\s*(?:\[SQL:|\(Background on this error).*", re.DOTALL)


@dataclass(frozen=True)
class Service:
    """A service reached over a network, with the texts that describe it in messages.

    Attributes:
        kind: What it is, such as "the MLflow server".
        address: Its address. A password in it is not shown.
        subject: Start of each message: the setting that holds the address, without a password.
        advice: What to do when it remains unavailable, in full sentences.
        error: The exception type to raise in that case.
    """

    kind: str
    address: str
    subject: str
    advice: str
    error: type[EvergreenError] = StateError

    def call(self, action: Callable[[], Result], *, landed: Callable[[], Result | None] | None = None) -> Result:
        """Perform an action, retrying it while its error is transient, and return its result.

        Args:
            action: The action; each attempt starts from scratch.
            landed: Called before each retry: returns the result of an earlier attempt that succeeded although its response was lost, or None.
                Not needed for actions that can be repeated safely.

        Raises:
            EvergreenError: Of the service's type: it remained unavailable for `retry_seconds`.
            StateError: EVERGREEN_RETRY_SECONDS is not a valid number of seconds.
        """
        from tenacity import Retrying, retry_if_exception

        from evergreen.storage.retries.transient_faults import is_transient

        attempts = _Attempts(self, retry_seconds())

        def attempt() -> Result:
            found = landed() if landed is not None and attempts.failed else None
            return action() if found is None else found

        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            wait=attempts.pause,
            stop=attempts.are_over,
            before_sleep=attempts.tell,
            sleep=_sleep,
            retry_error_callback=attempts.give_up,
            reraise=True,
        )
        result: Result = retrying(attempt)
        _outages.pop(self._key, None)
        return result

    @property
    def _key(self) -> tuple[str, str]:
        return self.kind, self.address


@dataclass
class _Outage:
    """An outage of a service: when it began, and when it was last observed."""

    began: float
    seen: float


_outages: dict[tuple[str, str], _Outage] = {}
"""All calls share the wait for one service, so that cleanup after a failed step does not wait for it again."""


class _Attempts:
    """The attempts of one call."""

    def __init__(self, service: Service, total: float) -> None:
        self._service, self._total = service, total
        self._deadline = math.inf
        self.failed = 0

    def pause(self, state: RetryCallState) -> float:
        """Return the time to wait: growing, partly random so that many steps do not retry at once, and never past the deadline."""
        from tenacity import wait_exponential, wait_random_exponential

        from evergreen.storage.retries.transient_faults import retry_after_seconds

        self._note_failure()
        limits = {"multiplier": HALF_OF_FIRST_PAUSE, "max": HALF_OF_LONGEST_PAUSE}
        growing = wait_exponential(**limits)(state) + wait_random_exponential(**limits)(state)
        return max(0.0, min(max(growing, retry_after_seconds(_error_of(state), time.time())), self._deadline - time.monotonic()))

    def are_over(self, _: RetryCallState) -> bool:
        return time.monotonic() >= self._deadline

    def tell(self, state: RetryCallState) -> None:
        service, remaining = self._service, self._deadline - time.monotonic()
        until = datetime.fromtimestamp(time.time() + remaining, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        waited_for = f"{service.kind} {without_password(service.address)}"
        sys.stderr.write(f"Waiting for {waited_for}: {reason(_error_of(state))}. Next attempt in {state.upcoming_sleep:.1f} s, until {until}.\n")
        sys.stderr.flush()

    def give_up(self, state: RetryCallState) -> NoReturn:
        service, error = self._service, _error_of(state)
        spent = time.monotonic() - (self._deadline - self._total)
        attempts = f"{self.failed} {'attempt' if self.failed == 1 else 'attempts'} in {max(0.0, spent):.0f} s"
        raise service.error(
            f"{service.subject}: {service.kind} cannot be reached: gave up after {attempts}; the last one failed with: {reason(error)}. {service.advice}"
        ) from error

    def _note_failure(self) -> None:
        now = time.monotonic()
        outage = _outages.get(self._service._key)
        if outage is None or now - outage.seen > max(self._total, 1.0):
            outage = _outages[self._service._key] = _Outage(now, now)
        outage.seen = now
        self.failed += 1
        # The duration of this call counts too: a service that answers other calls in between must not keep this one waiting forever.
        self._deadline = min(self._deadline, outage.began + self._total)


def retry_seconds() -> float:
    """Return how long to wait for an unavailable service: 10 minutes on a cluster, 20 seconds at a terminal, or as set in the environment.

    Raises:
        StateError: EVERGREEN_RETRY_SECONDS is not a valid number of seconds.
    """
    text = os.environ.get(SECONDS_VARIABLE, "").strip()
    if not text:
        return SECONDS_ON_A_CLUSTER if runs_in_a_pod() else SECONDS_AT_A_TERMINAL
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise StateError(f"{SECONDS_VARIABLE} is {text!r}: expected a number of seconds, such as 600; 0 disables retries. Correct the variable or remove it.")
    return seconds


def reason(error: BaseException) -> str:
    """Return an error as one log line of limited length, without passwords, tokens and the values of SQL statements."""
    text = " ".join(without_credentials(_STATEMENT.sub("", str(error)) or "no details").split())
    line = f"{type(error).__name__}: {text}".rstrip(" .")
    # Keep the end, where libraries put the cause.
    return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON // 3]} … {line[-2 * LONGEST_REASON // 3 :]}"


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


def _error_of(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome is not None else None
    if error is None:
        raise RuntimeError("attempt without an error must not be retried")
    return error
