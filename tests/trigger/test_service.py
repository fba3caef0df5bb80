from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient

from evergreen.trigger.events import Event
from evergreen.trigger.launching import Launcher, event_mark
from evergreen.trigger.service import application
from trigger.senders import ALERTMANAGER_TOKEN, alerts, from_mlflow, push, signed, tagged, webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.trigger.settings import TriggerSettings
    from submission.kfp_server import KfpServer

BEARER = {"Authorization": f"Bearer {ALERTMANAGER_TOKEN}"}


def send(client: TestClient, body: bytes, **changes: Any) -> Any:
    return client.post("/events/webhook", content=body, headers=signed(body, **changes))


def test_a_signed_webhook_starts_a_run_with_its_parameters(client: TestClient, kfp: KfpServer) -> None:
    answer = send(client, webhook("partition-1", days=7))
    assert answer.status_code == 202
    (run,) = kfp.runs.values()
    assert answer.json() == {"outcome": "started", "run_id": run.run_id, "run_url": f"{kfp.host}/#/runs/details/{run.run_id}"}
    assert run.runtime_config.parameters == {"model_name": "rain", "days": 7}


def test_the_same_event_starts_one_run_even_after_the_service_was_started_anew(
    client: TestClient, kfp: KfpServer, make_settings: Callable[..., TriggerSettings]
) -> None:
    first = send(client, webhook())
    again = send(client, webhook())
    with TestClient(application(make_settings())) as another:
        after_restart = send(another, webhook())
    assert [answer.json()["outcome"] for answer in (first, again, after_restart)] == ["started", "duplicate", "duplicate"]
    assert len({answer.json()["run_id"] for answer in (first, again, after_restart)}) == 1
    assert len(kfp.runs) == 1
    assert send(client, webhook("partition-2")).json()["outcome"] == "started"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Evergreen-Signature": "sha256=00", "X-Evergreen-Timestamp": str(int(time.time()))},
        {"X-Evergreen-Signature": "sha256=\u00e9"},
        {"X-Evergreen-Timestamp": "soon"},
        signed(webhook(), secret="another-secret-of-theirs"),
        signed(webhook(), at=time.time() - 3600),
        signed(webhook(), at=time.time() + 3600),
        signed(webhook("another")),
    ],
)
def test_who_cannot_sign_starts_nothing(client: TestClient, kfp: KfpServer, headers: dict[str, str]) -> None:
    kfp.requests.clear()
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    assert client.post("/events/webhook", content=webhook(), headers=encoded).status_code == 401
    assert kfp.requests == []


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"{", 422, "Invalid JSON"),
        (b"\xff", 422, "body"),
        (b"{}", 422, "event: Field required"),
        (webhook("a", model_name="other"), 422, "parameter 'model_name': not allowed in events. Allowed parameters: days"),
        (webhook("a", days="soon"), 422, "expected a whole number"),
        (webhook("a" * 600), 422, "event: String should have at most 512"),
        (webhook("a", days="x" * 300_000), 413, "larger than 262144 bytes"),
    ],
)
def test_a_wrong_event_is_refused_with_its_reason(client: TestClient, kfp: KfpServer, body: bytes, status: int, message: str) -> None:
    answer = send(client, body)
    assert answer.status_code == status
    assert message in answer.json()["detail"]
    assert kfp.runs == {}


def test_too_many_runs_are_put_off_and_duplicates_cost_nothing(make_settings: Callable[..., TriggerSettings], kfp: KfpServer) -> None:
    now = 1000.0
    launcher = Launcher(make_settings(runs_per_hour=2), clock=lambda: now)
    with TestClient(application(make_settings(runs_per_hour=2))) as client:
        answers = [send(client, webhook(name)) for name in ("1", "2", "1", "3")]
    assert [answer.status_code for answer in answers] == [202, 202, 200, 429]
    assert 3590 <= int(answers[-1].headers["Retry-After"]) <= 3601
    assert len(kfp.runs) == 2
    for name in ("4", "5"):
        launcher.launch(Event("webhook", name))
    now += 3601
    assert launcher.launch(Event("webhook", "6")).outcome == "started"


def test_a_kfp_that_is_away_is_said_and_the_event_can_be_sent_again(client: TestClient, kfp: KfpServer) -> None:
    kfp.failures = {"/apis/v2beta1/healthz": 1}
    refused = send(client, webhook())
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "60")
    assert send(client, webhook()).status_code == 202


def test_repeated_notifications_of_one_incident_are_one_event(client: TestClient, kfp: KfpServer) -> None:
    first, second = ("firing", "aa", "2026-01-01T00:00:00Z"), ("firing", "bb", "2026-01-01T06:00:00Z")
    bodies = [alerts(first), alerts(first, second), alerts(("resolved", "aa", "2026-01-01T00:00:00Z")), alerts(("firing", "aa", "2026-02-01T00:00:00Z"))]
    answers = [client.post("/events/alertmanager", content=body, headers=BEARER).json()["outcome"] for body in bodies]
    assert answers == ["started", "duplicate", "ignored", "started"]
    assert client.post("/events/alertmanager", content=bodies[0], headers={"Authorization": "Bearer no"}).status_code == 401
    assert len(kfp.runs) == 2


def test_mlflow_asks_for_a_run_with_a_tag_and_with_nothing_else(client: TestClient, kfp: KfpServer) -> None:
    outcomes = []
    # A promotion creates a version and an alias: a run at each would never end.
    created = b'{"entity": "model_version", "action": "created", "data": {"name": "rain", "version": "4"}}'
    for number, body in enumerate((tagged(), tagged(name="snow"), tagged(key="owner"), created)):
        outcomes.append(client.post("/events/mlflow", content=body, headers=from_mlflow(body, delivery=str(number))).json()["outcome"])
    assert outcomes == ["started", "ignored", "ignored", "ignored"]
    again = client.post("/events/mlflow", content=tagged(), headers=from_mlflow(tagged(), delivery="0"))
    assert again.json()["outcome"] == "duplicate"
    forged = {**from_mlflow(tagged(), delivery="9"), "X-MLflow-Delivery-Id": "10"}
    assert client.post("/events/mlflow", content=tagged(), headers=forged).status_code == 401
    assert len(kfp.runs) == 1


def test_sources_that_are_not_configured_are_not_there(make_settings: Callable[..., TriggerSettings]) -> None:
    with TestClient(application(make_settings(mlflow_secret=None, alertmanager_token=None))) as client:
        assert client.post("/events/mlflow", content=tagged(), headers=from_mlflow(tagged())).status_code == 404
        assert client.post("/events/alertmanager", content=b"{}", headers=BEARER).status_code == 404
        assert client.post("/events/pubsub", content=push(), headers=BEARER).status_code == 404


def test_health_and_metrics_tell_what_happened(client: TestClient) -> None:
    send(client, webhook())
    send(client, webhook())
    client.post("/events/webhook", content=webhook())
    assert client.get("/health").json()["status"] == "ok"
    text = client.get("/metrics").text
    for line in ('{outcome="started",source="webhook"} 1.0', '{outcome="duplicate",source="webhook"} 1.0', '{outcome="refused_401",source="webhook"} 1.0'):
        assert f"evergreen_trigger_events_total{line}" in text
    assert "evergreen_trigger_last_start_timestamp_seconds 1." in text


def test_an_outsiders_key_is_no_part_of_a_runs_name(client: TestClient, kfp: KfpServer) -> None:
    mark = event_mark(Event("webhook", "../../etc ${x} \ud800"))
    assert re.fullmatch(r"webhook [0-9a-f]{24}", mark)
    assert event_mark(Event("webhook", "a")) != event_mark(Event("mlflow", "a"))
    send(client, webhook("../../etc"))
    (run,) = kfp.runs.values()
    assert run.display_name.endswith(f" {event_mark(Event('webhook', '../../etc'))}")
    assert ".." not in run.display_name


def test_a_run_is_named_after_its_model_and_listed_with_the_models_others(client: TestClient, kfp: KfpServer) -> None:
    send(client, webhook())
    (run,), (experiment,) = kfp.runs.values(), kfp.experiments.values()
    assert re.match(r"rain \d{4}-\d\d-\d\d \d\d:\d\d webhook [0-9a-f]{24}$", run.display_name)
    assert (experiment.display_name, run.experiment_id) == ("rain", experiment.experiment_id)


def test_an_experiment_that_is_asked_for_is_taken(make_settings: Callable[..., TriggerSettings], kfp: KfpServer) -> None:
    with TestClient(application(make_settings(experiment="evergreen"))) as client:
        send(client, webhook())
    assert [experiment.display_name for experiment in kfp.experiments.values()] == ["evergreen"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("$(EVERGREEN_APPROVAL_KEY)", "environment variable EVERGREEN_APPROVAL_KEY"),
        ("a $$(AWS_SECRET_ACCESS_KEY)", "environment variable AWS_SECRET_ACCESS_KEY"),
        ('{"a": ["\\u0024(EVERGREEN_APPROVAL_KEY)"]}', "environment variable EVERGREEN_APPROVAL_KEY"),
        ("[[ScheduledTime]]", "Set data_window_end to scheduled"),
        ("[[CurrentTime]]", "Set data_window_end to scheduled"),
    ],
)
def test_an_event_cannot_ask_for_a_secret_or_a_macro(make_settings: Callable[..., TriggerSettings], kfp: KfpServer, value: str, words: str) -> None:
    kfp.requests.clear()
    with TestClient(application(make_settings(parameters={}, parameters_from_events=["model_name"]))) as client:
        answer = send(client, webhook("a", model_name=value))
    assert answer.status_code == 422
    assert "parameter 'model_name' contains" in answer.json()["detail"]
    assert words in answer.json()["detail"]
    assert kfp.requests == []
