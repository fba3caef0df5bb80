"""The content of events: a key that identifies repeated events, and the parameters that the event sets."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, Field

from evergreen.trigger.errors import EventRefusedError

Scalar = str | int | float | bool
Key = Annotated[str, Field(min_length=1, max_length=512)]


@dataclass(frozen=True)
class Event:
    """A reason to start a run.

    Attributes:
        source: The kind of sender.
        key: Identifies the event; the same event sent again has the same key.
        parameters: Requested values of the run's parameters.
    """

    source: str
    key: str
    parameters: dict[str, Scalar] = field(default_factory=dict)


class WebhookBody(BaseModel):
    """An event from your own system."""

    event: Key = Field(description="Name of the event. The same name does not start a second run.", examples=["partition-2026-11-21"])
    parameters: dict[str, Scalar] = Field(default={}, description="Parameters of the run; only those listed in parameters_from_events.")

    def to_event(self) -> Event:
        """Return the event."""
        return Event(source="webhook", key=self.event, parameters=dict(self.parameters))


class PubSubMessage(BaseModel):
    """A Google Pub/Sub message."""

    messageId: Key  # noqa: N815  # Google's name
    data: str = Field(default="", description="Base64.")
    attributes: dict[str, str] = {}


class PubSubBody(BaseModel):
    """A Google Pub/Sub push, such as a notification of a new object in a bucket."""

    message: PubSubMessage
    subscription: Key

    def to_event(self) -> Event | None:
        """Return the event, or None for a deleted object. Parameters are a JSON object in the message data."""
        attributes = self.message.attributes
        if attributes.get("eventType", "OBJECT_FINALIZE") != "OBJECT_FINALIZE":
            return None
        return Event(source="pubsub", key=f"{self.subscription}/{self.message.messageId}", parameters=self._parameters())

    def _parameters(self) -> dict[str, Scalar]:
        if "eventType" in self.message.attributes or not self.message.data:
            return {}
        try:
            content = json.loads(base64.b64decode(self.message.data, validate=True))
        except (binascii.Error, ValueError, RecursionError) as error:
            raise EventRefusedError(422, "message.data: expected a JSON object of parameters, in base64.") from error
        if not isinstance(content, dict) or not all(isinstance(value, (str, int, float, bool)) for value in content.values()):
            raise EventRefusedError(422, "message.data: expected a JSON object of parameters, in base64.")
        return content


class Alert(BaseModel):
    """One alert of a notification."""

    status: str
    fingerprint: Key
    startsAt: str  # noqa: N815  # Alertmanager's name


class AlertmanagerBody(BaseModel):
    """An Alertmanager notification, version 4."""

    status: str
    groupKey: Key  # noqa: N815  # Alertmanager's name
    alerts: list[Alert] = Field(max_length=10_000)

    def to_event(self) -> Event | None:
        """Return the event, or None if no alert is firing. Repeated notifications of one incident are one event."""
        firing = sorted((alert.startsAt, alert.fingerprint) for alert in self.alerts if alert.status == "firing")
        return Event(source="alertmanager", key=f"{self.groupKey} {firing[0][0]} {firing[0][1]}") if firing else None


class MlflowBody(BaseModel):
    """An MLflow webhook."""

    entity: str
    action: str
    data: dict[str, Any] = {}

    def to_event(self, *, delivery_id: str, tag: str, model_name: str) -> Event | None:
        """Return the event, or None unless the tag that requests a run was set on a version of the model."""
        about_us = (self.entity, self.action, self.data.get("key"), self.data.get("name")) == ("model_version_tag", "set", tag, model_name)
        return Event(source="mlflow", key=delivery_id) if about_us else None
