"""Waits: how long, how often, what is said and kept silent, and when they end. Time is the tests' own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from evergreen.errors import EvergreenError, StateError
from evergreen.ingestion.errors import IngestionError
from evergreen.storage.retries import service as retrying
from evergreen.storage.retries.service import Service, reason, retry_seconds

START = 1_800_000_000.0
REFUSED = ConnectionRefusedError(111, "Connection refused")


@dataclass
class Clock:
    """Stands for the module ``time``: it goes on when somebody sleeps, or works."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return START + self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    monkeypatch.setattr(retrying, "time", clock)
    monkeypatch.setattr(retrying, "_outages", {})
    monkeypatch.delenv("EVERGREEN_RETRY_SECONDS")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return clock


def service(**changes: Any) -> Service:
    return Service(
        **{"kind": "the MLflow server", "address": "http://mlflow:5000", "subject": "state_tracking_uri 'http://mlflow:5000'", "advice": "Start it.", **changes}
    )


def away(clock: Clock, seconds: float, error: Exception = REFUSED, *, work: float = 0.0) -> Callable[[], str]:
    """Return what asks a server that is away for so long from now on; each request takes ``work`` seconds."""
    back = clock.now + seconds

    def ask() -> str:
        clock.now += work
        if clock.now < back:
            raise error
        return "answered"

    return ask


def test_five_minutes_on_a_cluster_are_waited_for(clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert service().call(away(clock, 300)) == "answered"
    assert 300 <= clock.now < 316
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == len(clock.pauses)
    pattern = (
        r"Waiting for the MLflow server http://mlflow:5000: ConnectionRefusedError: \[Errno 111\] Connection refused\. "
        r"Next attempt in [\d.]+ s, until 2027-01-15T08:10:00Z\."
    )
    assert all(re.fullmatch(pattern, line) for line in lines), lines[0]


@pytest.mark.parametrize(("on_a_cluster", "bound"), [(True, 600), (False, 20)])
def test_the_wait_is_bounded_and_ends_with_one_message(clock: Clock, monkeypatch: pytest.MonkeyPatch, on_a_cluster: bool, bound: int) -> None:
    if on_a_cluster:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    with pytest.raises(StateError) as caught:
        service().call(away(clock, 10_000))
    assert clock.now == pytest.approx(bound)
    attempts = len(clock.pauses) + 1
    assert str(caught.value) == (
        f"state_tracking_uri 'http://mlflow:5000': the MLflow server cannot be reached: gave up after {attempts} attempts in {bound} s; "
        "the last one failed with: ConnectionRefusedError: [Errno 111] Connection refused. Start it."
    )
    assert caught.value.__cause__ is REFUSED


def test_the_room_s_own_error_is_raised(clock: Clock) -> None:
    with pytest.raises(IngestionError, match="cannot be reached"):
        service(error=IngestionError).call(away(clock, 100))


def test_pauses_grow_and_differ(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "200")
    with pytest.raises(StateError):
        service().call(away(clock, 1000))
    most = [min(0.5 * 2**number, 15.0) for number in range(len(clock.pauses))]
    # The last pause ends with the time.
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(clock.pauses[:-1], most, strict=False))
    assert len({round(pause, 6) for pause in clock.pauses[6:-1]}) > 1


@pytest.mark.parametrize("error", [ValueError("bad input"), PermissionError(13, "denied"), StateError("told before")])
def test_what_will_not_pass_is_raised_at_once_as_it_is(clock: Clock, capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        service().call(away(clock, 100, error))
    assert caught.value is error
    assert (clock.pauses, capsys.readouterr().err) == ([], "")


def test_a_server_that_says_when_it_is_back_is_not_asked_sooner(clock: Clock) -> None:
    import requests
    from google.api_core.exceptions import ServiceUnavailable

    response = requests.Response()
    response.status_code, response.headers["Retry-After"] = 503, "9"
    assert service().call(away(clock, 5, ServiceUnavailable("later", response=response))) == "answered"
    assert clock.pauses == [9.0]


def test_a_server_that_wants_an_hour_is_asked_once_more_at_the_end(clock: Clock) -> None:
    import requests
    from google.api_core.exceptions import TooManyRequests

    response = requests.Response()
    response.status_code, response.headers["Retry-After"] = 429, "3600"
    with pytest.raises(StateError, match="gave up after 2 attempts in 20 s"):
        service().call(away(clock, 100, TooManyRequests("later", response=response)))
    assert clock.pauses == [20.0]


def test_what_comes_after_a_wait_in_vain_does_not_wait_again(clock: Clock) -> None:
    with pytest.raises(StateError):
        service().call(away(clock, 10_000))
    spent = clock.now
    for _ in range(3):
        with pytest.raises(StateError, match="gave up after 1 attempt in 20 s"):
            service().call(away(clock, 10_000))
    assert clock.now == spent
    assert service(address="http://another:5000").call(away(clock, 10)) == "answered"
    assert service().call(away(clock, 0)) == "answered"
    assert service().call(away(clock, 15)) == "answered", "it was back, so this is another outage"


def test_an_outage_much_later_is_another_one(clock: Clock) -> None:
    with pytest.raises(StateError):
        service().call(away(clock, 10_000))
    clock.now += 3600
    assert service().call(away(clock, 15)) == "answered"


def test_a_call_that_fails_while_others_are_answered_ends_too(clock: Clock) -> None:
    def fails_alone() -> None:
        service().call(lambda: None)
        raise REFUSED

    with pytest.raises(StateError, match=r"gave up after \d+ attempts in 20 s"):
        service().call(fails_alone)
    assert clock.now == pytest.approx(20)


def test_one_call_within_another_does_not_multiply_the_wait(clock: Clock) -> None:
    with pytest.raises(StateError):
        service().call(lambda: service().call(away(clock, 10_000)))
    assert clock.now == pytest.approx(20)


def test_work_that_was_done_though_its_answer_was_lost_is_not_done_again(clock: Clock) -> None:
    made: list[str] = []

    def make() -> str:
        made.append("thing")
        raise REFUSED

    looked: list[float] = []

    def landed() -> str | None:
        looked.append(clock.now)
        return made[0] if made else None

    assert service().call(make, landed=landed) == "thing"
    assert (made, len(looked)) == (["thing"], 1)


@pytest.mark.usefixtures("clock")
def test_a_look_that_fails_is_repeated_before_the_work_is() -> None:
    made: list[str] = []
    looks = iter([REFUSED, REFUSED, None])

    def make() -> str:
        made.append("thing")
        if len(made) == 1:
            raise REFUSED
        return "made"

    def landed() -> None:
        look = next(looks)
        if look is not None:
            raise look

    assert service().call(make, landed=landed) == "made"
    assert len(made) == 2


def test_nobody_looks_before_the_first_attempt(clock: Clock) -> None:
    assert service().call(lambda: "made", landed=lambda: pytest.fail("looked")) == "made"
    assert clock.pauses == []


def test_an_interrupt_ends_the_wait(clock: Clock) -> None:
    def interrupt() -> None:
        try:
            raise REFUSED
        except ConnectionRefusedError:
            raise KeyboardInterrupt  # noqa: B904  # as it happens

    with pytest.raises(KeyboardInterrupt):
        service().call(interrupt)
    assert clock.pauses == []


@pytest.mark.parametrize("text", ["soon", "-1", "inf", "nan", "10s", "1e999"])
@pytest.mark.usefixtures("clock")
def test_a_time_that_is_none_is_named_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", text)
    with pytest.raises(
        StateError, match=rf"EVERGREEN_RETRY_SECONDS is '{text}': expected a number of seconds, such as 600; 0 disables retries\. Correct the variable"
    ):
        service().call(lambda: pytest.fail("asked"))


@pytest.mark.parametrize(("text", "expected"), [("", 20.0), (" ", 20.0), ("0", 0.0), ("2.5", 2.5), ("900", 900.0)])
@pytest.mark.usefixtures("clock")
def test_the_time_is_a_setting(monkeypatch: pytest.MonkeyPatch, text: str, expected: float) -> None:
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", text)
    assert retry_seconds() == expected


def test_no_time_is_one_attempt(clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("EVERGREEN_RETRY_SECONDS", "0")
    with pytest.raises(StateError, match="gave up after 1 attempt in 0 s"):
        service().call(away(clock, 1))
    assert (clock.pauses, capsys.readouterr().err) == ([], "")


SECRETS = [
    "API request to http://user:hunter2@mlflow:5000/api failed with exception reset",
    "GET https://b.s3.amazonaws.com/k?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2 timed out",
    "https://storage.googleapis.com/b?X-Goog-Signature=hunter2 timed out",
    "headers Authorization: Bearer hunter2hunter2 timed out",
    "could not connect with password=hunter2 host=db",
    "token=hunter2; api_key=hunter2, sig=hunter2",
    "(psycopg.OperationalError) gone [SQL: INSERT INTO t VALUES (%(a)s)]\n[parameters: {'a': 'hunter2'}]",
]


@pytest.mark.parametrize("text", SECRETS)
def test_neither_log_nor_message_tells_a_secret(clock: Clock, capsys: pytest.CaptureFixture[str], text: str) -> None:
    with pytest.raises(EvergreenError) as caught:
        service(address="http://user:hunter2@mlflow:5000").call(away(clock, 100, ConnectionResetError(text)))
    told = capsys.readouterr().err + str(caught.value)
    assert "hunter2" not in told
    assert "Waiting for the MLflow server http://mlflow:5000: " in told


def test_a_reason_is_one_line_that_keeps_its_end() -> None:
    told = reason(ConnectionError("first\nline " + "x" * 1000 + " (Caused by Connection refused)"))
    assert "\n" not in told
    assert len(told) < 320
    assert told.startswith("ConnectionError: first line")
    assert told.endswith("(Caused by Connection refused)")
    assert reason(TimeoutError()) == "TimeoutError: no details"
