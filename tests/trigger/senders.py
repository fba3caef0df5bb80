"""Those who send events, as the real ones do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

WEBHOOK_SECRET = "c4n4ry-webhook-secret"
MLFLOW_SECRET = "c4n4ry-mlflow-secret"
ALERTMANAGER_TOKEN = "c4n4ry-alertmanager-token"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def signed(body: bytes, *, secret: str = WEBHOOK_SECRET, at: float | None = None) -> dict[str, str]:
    """Return the headers of a signed webhook, computed as the documentation says."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Evergreen-Timestamp": timestamp, "X-Evergreen-Signature": f"sha256={digest}"}


def from_mlflow(body: bytes, *, delivery: str = "delivery-1") -> dict[str, str]:
    """Return the headers that MLflow's own code makes."""
    from mlflow.webhooks.delivery import _generate_hmac_signature  # what a server of this version sends

    timestamp = str(int(time.time()))
    signature = _generate_hmac_signature(MLFLOW_SECRET, delivery, timestamp, body.decode())
    return {"X-MLflow-Signature": signature, "X-MLflow-Timestamp": timestamp, "X-MLflow-Delivery-Id": delivery}


def webhook(event: str = "partition-1", **parameters: Any) -> bytes:
    return json.dumps({"event": event, "parameters": parameters}).encode()


def alerts(*states: tuple[str, str, str], group: str = '{}:{alertname="ModelDegraded"}') -> bytes:
    """Return a notification of Alertmanager with alerts of (status, fingerprint, start)."""
    listed = [{"status": status, "labels": {}, "annotations": {}, "startsAt": start, "fingerprint": fingerprint} for status, fingerprint, start in states]
    return json.dumps({"version": "4", "status": states[0][0], "groupKey": group, "receiver": "evergreen", "alerts": listed}).encode()


def push(message_id: str = "1", data: Any = None, **attributes: str) -> bytes:
    encoded = "" if data is None else base64.b64encode(json.dumps(data).encode()).decode()
    return json.dumps({"message": {"messageId": message_id, "data": encoded, "attributes": attributes}, "subscription": "projects/p/subscriptions/s"}).encode()


def tagged(name: str = "rain", key: str = "evergreen.retrain") -> bytes:
    data = {"name": name, "version": "3", "key": key, "value": "please"}
    return json.dumps({"entity": "model_version_tag", "action": "set", "timestamp": "2026-01-01T00:00:00Z", "data": data}).encode()


class SigningProxy:
    """An ASGI application that signs whatever is sent, so that a fuzzer comes past the door."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        timestamp = str(int(time.time()))
        mlflow = hmac.new(MLFLOW_SECRET.encode(), f"d.{timestamp}.".encode() + body, hashlib.sha256).digest()
        own = {
            **signed(body),
            "Authorization": f"Bearer {ALERTMANAGER_TOKEN}",
            "X-MLflow-Timestamp": timestamp,
            "X-MLflow-Delivery-Id": "d",
            "X-MLflow-Signature": f"v1,{base64.b64encode(mlflow).decode()}",
        }
        names = {name.lower().encode() for name in own}
        kept = [(name, value) for name, value in scope["headers"] if name not in names]
        signed_scope = {**scope, "headers": [*kept, *((name.lower().encode(), value.encode()) for name, value in own.items())]}

        async def replay() -> MutableMapping[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(signed_scope, replay, send)
