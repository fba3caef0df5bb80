"""Pub/Sub pushes, with tokens that a key pair of the test's own signs and whose certificate the service fetches."""

from __future__ import annotations

import datetime
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import crypt, jwt
from starlette.testclient import TestClient

from evergreen.trigger.service import application
from trigger.senders import push

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from evergreen.trigger.settings import TriggerSettings
    from submission.kfp_server import KfpServer

AUDIENCE, ACCOUNT = "https://trigger.example/events/pubsub", "pusher@project.iam.gserviceaccount.com"


class Google:
    """A key, its certificate behind an address, and tokens."""

    def __init__(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        certificate = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        signed = certificate.not_valid_before(now - day).not_valid_after(now + day).sign(key, hashes.SHA256())
        certificates = json.dumps({"k1": signed.public_bytes(serialization.Encoding.PEM).decode()}).encode()
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
        self._signer = crypt.RSASigner.from_string(pem, "k1")

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(certificates)))
                self.end_headers()
                self.wfile.write(certificates)

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def token(self, **changes: Any) -> str:
        now = int(time.time())
        claims = {"iss": "https://accounts.google.com", "aud": AUDIENCE, "email": ACCOUNT, "email_verified": True, "iat": now, "exp": now + 600, **changes}
        return str(jwt.encode(self._signer, claims).decode())


@pytest.fixture(scope="module")
def google() -> Iterator[Google]:
    found = Google()
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def client(make_settings: Callable[..., TriggerSettings], google: Google) -> Iterator[TestClient]:
    settings = make_settings(pubsub={"audience": AUDIENCE, "service_account": ACCOUNT, "certificates": google.address})
    with TestClient(application(settings)) as found:
        yield found


def send(client: TestClient, body: bytes, token: str) -> Any:
    return client.post("/events/pubsub", content=body, headers={"Authorization": f"Bearer {token}"})


def test_a_push_starts_a_run_once(client: TestClient, kfp: KfpServer, google: Google) -> None:
    answers = [send(client, body, google.token()).json()["outcome"] for body in (push("1", {"days": 3}), push("1", {"days": 3}), push("2"))]
    assert answers == ["started", "duplicate", "started"]
    assert sorted(run.runtime_config.parameters.get("days", 0) for run in kfp.runs.values()) == [0, 3]


def test_a_buckets_new_object_starts_a_run_and_a_deleted_one_does_not(client: TestClient, google: Google) -> None:
    new = push("3", {"kind": "storage#object", "size": "1"}, eventType="OBJECT_FINALIZE", objectId="day=1/part.parquet")
    gone = push("4", eventType="OBJECT_DELETE")
    assert [send(client, body, google.token()).json()["outcome"] for body in (new, gone)] == ["started", "ignored"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"aud": "https://elsewhere.example"}, 401),
        ({"exp": int(time.time()) - 600, "iat": int(time.time()) - 1200}, 401),
        ({"email": "other@project.iam.gserviceaccount.com"}, 403),
        ({"email_verified": False}, 403),
        ({"iss": "https://evil.example"}, 403),
    ],
)
def test_a_token_of_somebody_else_starts_nothing(client: TestClient, kfp: KfpServer, google: Google, changes: dict[str, Any], status: int) -> None:
    assert send(client, push(), google.token(**changes)).status_code == status
    assert kfp.runs == {}


def test_a_token_that_another_key_signed_starts_nothing(client: TestClient, kfp: KfpServer) -> None:
    other = Google()
    try:
        assert send(client, push(), other.token()).status_code == 401
    finally:
        other.server.server_close()
    assert send(client, push(), "no token").status_code == 401
    assert kfp.runs == {}


def test_without_googles_keys_the_push_is_to_come_again(make_settings: Callable[..., TriggerSettings], google: Google) -> None:
    settings = make_settings(pubsub={"audience": AUDIENCE, "service_account": ACCOUNT, "certificates": "http://127.0.0.1:9"})
    with TestClient(application(settings)) as client:
        answer = send(client, push(), google.token())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")


@pytest.mark.parametrize("data", ["AAAA", "%%%", "WzFd"])
def test_data_that_is_no_object_of_parameters_is_refused(client: TestClient, google: Google, data: str) -> None:
    body = json.dumps({"message": {"messageId": "1", "data": data}, "subscription": "s"}).encode()
    answer = send(client, body, google.token())
    assert answer.status_code == 422
    assert "message.data" in answer.json()["detail"]
