"""Authenticates the sender of an event by signature or token, compared in constant time."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from typing import TYPE_CHECKING

from evergreen.trigger.errors import EventRefusedError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from evergreen.trigger.settings import PubSub

GOOGLE_ISSUERS = ("accounts.google.com", "https://accounts.google.com")


def check_webhook(body: bytes, *, signature: str, timestamp: str, secret: SecretStr | None, window_s: int) -> None:
    """Check a webhook's signature: HMAC-SHA-256 over ``timestamp.body``, in hexadecimal after ``sha256=``.

    Raises:
        EventRefusedError: Webhooks are not configured, the time is too far in the past or future, or the signature is wrong.
    """
    key = _configured(secret, "webhooks")
    _check_time(timestamp, window_s)
    expected = hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    _compare(signature, f"sha256={expected}")


def check_mlflow(body: bytes, *, signature: str, timestamp: str, delivery_id: str, secret: SecretStr | None, window_s: int) -> None:
    """Check an MLflow webhook's signature: HMAC-SHA-256 over ``delivery.timestamp.body``, in base64 after ``v1,``.

    Raises:
        EventRefusedError: MLflow is not configured, the time is too far in the past or future, or the signature is wrong.
    """
    key = _configured(secret, "MLflow webhooks")
    _check_time(timestamp, window_s)
    digest = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    _compare(signature, f"v1,{base64.b64encode(digest).decode()}")


def check_bearer(authorization: str, *, token: SecretStr | None) -> None:
    """Check Alertmanager's bearer token.

    Raises:
        EventRefusedError: Alertmanager is not configured, or the token is wrong.
    """
    key = _configured(token, "Alertmanager notifications")
    _compare(authorization, f"Bearer {key.decode()}")


def check_pubsub(authorization: str, settings: PubSub | None) -> None:
    """Check the OpenID Connect token of a Pub/Sub push: signed by Google, for our audience and the configured service account.

    Raises:
        EventRefusedError: Pub/Sub is not configured, the token is wrong, or Google's keys cannot be fetched.
    """
    from google.auth import exceptions
    from google.auth.transport.requests import Request
    from google.oauth2 import id_token

    if settings is None:
        raise EventRefusedError(404, "Pub/Sub pushes are not configured.")
    kind, _, token = authorization.partition(" ")
    if kind.lower() != "bearer" or not token:
        raise EventRefusedError(401, "The push has no token. Create the subscription with --push-auth-service-account.")
    try:
        claims = id_token.verify_token(token, Request(), audience=settings.audience, certs_url=settings.certificates, clock_skew_in_seconds=10)
    except exceptions.TransportError as error:
        raise EventRefusedError(503, "Google's keys cannot be fetched.", retry_after_s=60) from error
    except (ValueError, exceptions.GoogleAuthError) as error:
        raise EventRefusedError(401, "The token is not valid for this audience.") from error
    if claims.get("iss") not in GOOGLE_ISSUERS or claims.get("email") != settings.service_account or claims.get("email_verified") is not True:
        raise EventRefusedError(403, "The token belongs to another service account.")


def _configured(secret: SecretStr | None, what: str) -> bytes:
    if secret is None:
        raise EventRefusedError(404, f"{what} are not configured.".capitalize())
    return secret.get_secret_value().encode()


def _check_time(timestamp: str, window_s: int) -> None:
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise EventRefusedError(401, "The time of the signature is not an integer number of seconds since 1970.")
    if abs(time.time() - int(timestamp)) > window_s:
        raise EventRefusedError(401, f"The time of the signature differs from the current time by more than {window_s} seconds.")


def _compare(given: str, expected: str) -> None:
    # compare_digest accepts only ASCII text; a header may contain other characters.
    if not hmac.compare_digest(given.encode("utf-8", errors="surrogateescape"), expected.encode()):
        raise EventRefusedError(401, "The signature or token is wrong.")
