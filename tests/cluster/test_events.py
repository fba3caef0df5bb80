"""A run at an event: the trigger service, in the cluster, as its manifest has it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from cluster.kubectl import wait_for
from cluster.objects import secret_object, trigger_objects, webhook_body
from cluster.parameters import LEAN

if TYPE_CHECKING:
    from cluster.runs import Cluster, Run
    from cluster.table import Case


def send(address: str, body: bytes, secret: str) -> tuple[int, dict[str, Any]]:
    """Send an event as a system of one's own does; return status and answer."""
    now = str(int(time.time()))
    signature = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"X-Evergreen-Timestamp": now, "X-Evergreen-Signature": f"sha256={signature}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/events/webhook", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.status, json.load(answer)


def test_an_event_starts_one_run(cluster: Cluster, lean_quiet_day: Run, case: Case) -> None:
    name = f"evergreen-trigger-{cluster.mark}"
    secret = secrets.token_hex(32)
    parameters = cluster.parameters("at an event", lean_quiet_day.model)
    objects = trigger_objects(cluster.settings, pipeline="lean-retraining", name=name, parameters=parameters)
    body = webhook_body(f"partition-{cluster.mark}", {"data_window_end": "latest"})
    try:
        cluster.kubectl.apply(secret_object(name, {"webhook-secret": secret}), *objects)
        cluster.kubectl.run("wait", "--for=condition=ready", "--timeout=180s", f"pod/{name}", timeout_s=200)
        with cluster.kubectl.forwarded(f"pod/{name}", 8080) as address:
            status, answer = wait_for("the trigger's answer", lambda: send(address, body, secret), timeout_s=60)
            again, same = send(address, body, secret)
        assert (status, again) == (202, 200), (answer, same)
        assert answer["run_id"] == same["run_id"]
        run = case.took(cluster.finish(cluster.adopt("at an event", answer["run_id"], LEAN, lean_quiet_day.model)))
        assert cluster.summary(run).outcome == "kept"
    finally:
        for found in [*objects, secret_object(name, {})]:
            cluster.kubectl.delete(found["kind"], name)
