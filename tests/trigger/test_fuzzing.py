"""Whatever is sent, signed or not: no answer but those that the OpenAPI description names, in the form that it names."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from evergreen.trigger.service import application
from evergreen.trigger.settings import TriggerSettings
from trigger.senders import ALERTMANAGER_TOKEN, MLFLOW_SECRET, WEBHOOK_SECRET, SigningProxy

# Nothing listens there: an event that comes past every check is answered with 503, which is described.
SETTINGS = TriggerSettings.model_validate(
    {
        "version": 1,
        "pipeline": "p",
        "kfp_host": "http://127.0.0.1:9",
        "webhook_secret": WEBHOOK_SECRET,
        "mlflow_secret": MLFLOW_SECRET,
        "alertmanager_token": ALERTMANAGER_TOKEN,
    }
)
plain = schemathesis.openapi.from_asgi("/openapi.json", application(SETTINGS))
past_the_door = schemathesis.openapi.from_asgi("/openapi.json", SigningProxy(application(SETTINGS)))
few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
CHECKS = [status_code_conformance, response_schema_conformance]


@plain.parametrize()
@few
def test_strangers_get_described_answers(case: schemathesis.Case) -> None:
    response = case.call()
    case.validate_response(response, checks=[not_a_server_error, *CHECKS])


@past_the_door.parametrize()
@few
def test_signed_nonsense_gets_described_answers(case: schemathesis.Case) -> None:
    response = case.call()
    assert response.status_code != 401
    case.validate_response(response, checks=CHECKS)
