"""The trigger's configuration: a YAML file for everything that may be read by anybody, environment variables for secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError

from evergreen.settings.strict import StrictSettings
from evergreen.submission.parameter_values import ParameterValueError, check_parameter_values
from evergreen.trigger.errors import TriggerError

CONFIG_VARIABLE = "EVERGREEN_TRIGGER_CONFIG"
SECRET_VARIABLES = {
    "webhook_secret": "EVERGREEN_TRIGGER_WEBHOOK_SECRET",
    "mlflow_secret": "EVERGREEN_TRIGGER_MLFLOW_SECRET",
    "alertmanager_token": "EVERGREEN_TRIGGER_ALERTMANAGER_TOKEN",
}
MINIMUM_SECRET_LENGTH = 16

GOOGLE_CERTIFICATES = "https://www.googleapis.com/oauth2/v1/certs"


class PubSub(StrictSettings):
    """Whose pushes are believed.

    Attributes:
        audience: The audience that the push subscription was made with.
        service_account: E-mail of the service account that the subscription pushes as.
        certificates: Where the keys are published that tokens are signed with.
    """

    audience: str
    service_account: str
    certificates: str = GOOGLE_CERTIFICATES


class TriggerSettings(StrictSettings):
    """Everything that the trigger needs to know.

    Attributes:
        version: Of the format.
        pipeline: Name in KFP of the pipeline that is run, in the version that was uploaded last.
        parameters: Of every run.
        parameters_from_events: Names of parameters that an event may set, and no others.
        experiment: Where the KFP UI lists the runs; the model's name when not given.
        namespace: The profile's namespace in multi-user mode.
        service_account: Kubernetes service account of the pods.
        kfp_host: Address of KFP's API; ``EVERGREEN_KFP_HOST`` when not given.
        runs_per_hour: More are refused, and the sender told when to come again.
        replay_window_seconds: How far a signed webhook's time may be from ours.
        maximum_body_bytes: Longer events are refused.
        mlflow_tag: Tag on a model version that asks for a run. A promotion makes versions and aliases of its own: a run at each of those would never end.
        pubsub: Whose Pub/Sub pushes are believed; nothing for nobody's.
        webhook_secret: Key of the webhook's signatures; from ``EVERGREEN_TRIGGER_WEBHOOK_SECRET``.
        mlflow_secret: Key of MLflow's signatures; from ``EVERGREEN_TRIGGER_MLFLOW_SECRET``.
        alertmanager_token: Bearer token of Alertmanager; from ``EVERGREEN_TRIGGER_ALERTMANAGER_TOKEN``.
    """

    version: Literal[1]
    pipeline: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    parameters_from_events: tuple[str, ...] = ()
    experiment: str | None = None
    namespace: str | None = None
    service_account: str | None = None
    kfp_host: str | None = None
    runs_per_hour: int = Field(default=6, ge=1)
    replay_window_seconds: int = Field(default=300, ge=1, le=3600)
    maximum_body_bytes: int = Field(default=262_144, ge=1024)
    mlflow_tag: str = "evergreen.retrain"
    pubsub: PubSub | None = None
    webhook_secret: SecretStr | None = None
    mlflow_secret: SecretStr | None = None
    alertmanager_token: SecretStr | None = None


def read_settings(path: Path | None = None) -> TriggerSettings:
    """Read the configuration.

    Args:
        path: The YAML file; the one that ``EVERGREEN_TRIGGER_CONFIG`` names when not given.

    Raises:
        TriggerError: It cannot be read, a field or a parameter's value is unknown or wrong, it holds a secret, a secret is short, or no source of events is
            configured.
    """
    place = path or Path(os.environ.get(CONFIG_VARIABLE, "trigger.yaml"))
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise TriggerError(f"trigger configuration {place}: cannot be read: {error.strerror}. Name it in {CONFIG_VARIABLE}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TriggerError(f"trigger configuration {place}: is not YAML: {error}.") from error
    if not isinstance(content, dict):
        raise TriggerError(f"trigger configuration {place}: expected a mapping, found {type(content).__name__}.")
    for field, variable in SECRET_VARIABLES.items():
        if field in content:
            raise TriggerError(f"trigger configuration {place}: {field} is in the file. Secrets are taken from the environment only, here {variable}.")
        secret = os.environ.get(variable)
        if secret:
            if len(secret) < MINIMUM_SECRET_LENGTH:
                raise TriggerError(f"{variable}: has {len(secret)} characters, expected at least {MINIMUM_SECRET_LENGTH}. Make one with: openssl rand -hex 32")
            content[field] = secret
    try:
        settings = TriggerSettings.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        raise TriggerError(f"trigger configuration {place}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}.") from error
    _check_parameters(settings, place)
    if settings.pubsub is None and not any(getattr(settings, field) for field in SECRET_VARIABLES):
        raise TriggerError(f"trigger configuration {place}: nobody could send an event. Set one of {', '.join(SECRET_VARIABLES.values())}, or pubsub.")
    return settings


def _check_parameters(settings: TriggerSettings, place: Path) -> None:
    try:
        check_parameter_values(settings.parameters)
    except ParameterValueError as error:
        raise TriggerError(f"trigger configuration {place}: parameters: {error}") from error
