"""The trigger's configuration: a YAML file for everything that is not secret, and environment variables for secrets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, SecretStr, ValidationError

from evergreen.settings.strict import StrictSettings
from evergreen.settings.suggestions import did_you_mean
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
    """The accepted sender of Pub/Sub pushes.

    Attributes:
        audience: The audience of the push subscription.
        service_account: Email of the service account that the subscription uses to push.
        certificates: URL of the public keys for token signatures.
    """

    audience: str
    service_account: str
    certificates: str = GOOGLE_CERTIFICATES


class TriggerSettings(StrictSettings):
    """The trigger's configuration.

    Attributes:
        version: Version of the file format.
        pipeline: KFP name of the pipeline to run, in its most recently uploaded version.
        parameters: Parameters of every run.
        parameters_from_events: The only parameters that an event may set.
        experiment: KFP experiment of the runs. Defaults to the model name.
        namespace: The profile's namespace in multi-user mode.
        service_account: Kubernetes service account of the pods.
        kfp_host: Address of KFP's API. Defaults to ``EVERGREEN_KFP_HOST``.
        runs_per_hour: Maximum number of runs per hour. Further events are rejected with the time to retry.
        replay_window_seconds: Maximum difference between the time of a signed webhook and the current time.
        maximum_body_bytes: Maximum size of an event; larger events are rejected.
        mlflow_tag: Tag on a model version that requests a run. New versions and aliases do not: promotions create them, so runs would never end.
        pubsub: Accepted sender of Pub/Sub pushes; None to accept no pushes.
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
        path: The YAML file. Defaults to the path in ``EVERGREEN_TRIGGER_CONFIG``.

    Raises:
        TriggerError: The file cannot be read, a field or a parameter's value is unknown or invalid, the file contains a secret, a secret is too
            short, or no event source is configured.
    """
    place = path or Path(os.environ.get(CONFIG_VARIABLE, "trigger.yaml"))
    try:
        content = yaml.safe_load(place.read_text(encoding="utf-8"))
    except OSError as error:
        raise TriggerError(f"trigger configuration {place}: cannot be read: {error.strerror}. Set {CONFIG_VARIABLE} to its path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise TriggerError(f"trigger configuration {place}: is not YAML: {error}.") from error
    if not isinstance(content, dict):
        raise TriggerError(f"trigger configuration {place}: expected a mapping, found {type(content).__name__}.")
    for field, variable in SECRET_VARIABLES.items():
        if field in content:
            raise TriggerError(
                f"trigger configuration {place}: {field} must not be in the file. Secrets are read only from the environment. Set {variable} instead."
            )
        secret = os.environ.get(variable)
        if secret:
            if len(secret) < MINIMUM_SECRET_LENGTH:
                raise TriggerError(
                    f"{variable}: has {len(secret)} characters, expected at least {MINIMUM_SECRET_LENGTH}. Generate one with: openssl rand -hex 32"
                )
            content[field] = secret
    try:
        settings = TriggerSettings.model_validate(content)
    except ValidationError as error:
        raise _wrong_field(place, error) from error
    _check_parameters(settings, place)
    if settings.pubsub is None and not any(getattr(settings, field) for field in SECRET_VARIABLES):
        raise TriggerError(f"trigger configuration {place}: no event source is configured. Set one of {', '.join(SECRET_VARIABLES.values())}, or pubsub.")
    return settings


def _check_parameters(settings: TriggerSettings, place: Path) -> None:
    try:
        check_parameter_values(settings.parameters)
    except ParameterValueError as error:
        raise TriggerError(f"trigger configuration {place}: parameters: {error}") from error


def _wrong_field(place: Path, error: ValidationError) -> TriggerError:
    """Return the error for the first field that is unknown or has an invalid value."""
    problems = error.errors(include_input=False)
    # A misspelt field often makes another one missing, so it is reported first.
    first = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return TriggerError(f"trigger configuration {place}: {name}: {first['msg']}.")
    valid = [field for field in (PubSub if len(first["loc"]) > 1 else TriggerSettings).model_fields if field not in SECRET_VARIABLES]
    hint = did_you_mean(str(first["loc"][-1]), valid)
    return TriggerError(f"trigger configuration {place}: Unknown field {name!r}. Valid fields: {', '.join(valid)}.{hint} Correct the name or remove it.")
