"""The HTTP service. Started by ``uvicorn --factory evergreen.trigger.service:application``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import FastAPI, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest
from pydantic import BaseModel, ValidationError

from evergreen.secrets.masked_streams import mask_logging
from evergreen.secrets.redaction import mask
from evergreen.trigger.authentication import check_bearer, check_mlflow, check_pubsub, check_webhook
from evergreen.trigger.errors import EventRefusedError
from evergreen.trigger.events import AlertmanagerBody, Event, MlflowBody, PubSubBody, WebhookBody
from evergreen.trigger.launching import Launcher, LaunchResult
from evergreen.trigger.settings import TriggerSettings, read_settings
from evergreen.version import __version__

Body = TypeVar("Body", bound=BaseModel)
Text = Annotated[str, Header()]


class Answer(BaseModel):
    """The result of an event."""

    outcome: str
    run_id: str | None = None
    run_url: str | None = None


class Refusal(BaseModel):
    """The reason why an event was rejected."""

    detail: str


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal, "description": description}
    for status, description in {
        401: "The signature or token is wrong or too old.",
        403: "The token belongs to another service account.",
        404: "This event source is not configured.",
        413: "The body is too large.",
        422: "The event or one of its parameters is wrong.",
        429: "Too many runs within the past hour; Retry-After says when to retry.",
        503: "Kubeflow Pipelines cannot be reached; Retry-After says when to retry.",
    }.items()
}


class Metrics:
    """Metrics for Prometheus."""

    def __init__(self) -> None:
        """Create the metrics in their own registry, starting at zero."""
        self.registry = CollectorRegistry()
        self.events = Counter("evergreen_trigger_events", "Events by source and outcome.", ["source", "outcome"], registry=self.registry)
        self.last_start = Gauge("evergreen_trigger_last_start_timestamp_seconds", "When the last run was started.", registry=self.registry)


def application(settings: TriggerSettings | None = None) -> FastAPI:
    """Create the service.

    Raises:
        TriggerError: The configuration is invalid; the service does not start.
    """
    known = settings or read_settings()
    # The server has already configured its loggers.
    mask_logging()
    app = FastAPI(title="Evergreen trigger", version=__version__, description="Starts runs of one pipeline from events.", docs_url=None, redoc_url=None)
    events = _EventRoutes(known, Launcher(known), Metrics())
    for path, route, body in (
        ("webhook", events.webhook, WebhookBody),
        ("pubsub", events.pubsub, PubSubBody),
        ("alertmanager", events.alertmanager, AlertmanagerBody),
        ("mlflow", events.mlflow, MlflowBody),
    ):
        schema = {"requestBody": {"required": True, "content": {"application/json": {"schema": body.model_json_schema()}}}}
        started: dict[int | str, dict[str, Any]] = {202: {"model": Answer, "description": "A run was started."}}
        app.post(f"/events/{path}", response_model=Answer, responses={**started, **REFUSALS}, openapi_extra=schema)(route)
    app.get("/health", response_model=dict[str, str])(health)
    app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})(events.metrics)
    app.add_exception_handler(EventRefusedError, _refused)
    return app


async def health() -> dict[str, str]:
    """Report that the service is running. KFP is not checked, because restarting this service would not fix it."""
    return {"status": "ok", "version": __version__}


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    status, retry_after_s = getattr(error, "status", 500), getattr(error, "retry_after_s", None)
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return JSONResponse({"detail": mask(str(error))}, status_code=status, headers=headers)


class _EventRoutes:
    """The event routes. Each reads the body as bytes, authenticates the sender, and only then parses the body."""

    def __init__(self, settings: TriggerSettings, launcher: Launcher, metrics: Metrics) -> None:
        self._settings = settings
        self._launcher = launcher
        self._metrics = metrics

    async def webhook(self, request: Request, response: Response, x_evergreen_signature: Text = "", x_evergreen_timestamp: Text = "") -> Answer:
        """Accept a signed event: X-Evergreen-Signature is sha256=HMAC-SHA-256 over X-Evergreen-Timestamp, a dot, and the body."""
        settings = self._settings

        def authenticate(body: bytes) -> None:
            window_s = settings.replay_window_seconds
            check_webhook(body, signature=x_evergreen_signature, timestamp=x_evergreen_timestamp, secret=settings.webhook_secret, window_s=window_s)

        return await self._take("webhook", request, response, authenticate, lambda body: _parsed(WebhookBody, body).to_event())

    async def pubsub(self, request: Request, response: Response, authorization: Text = "") -> Answer:
        """Accept an authenticated Google Pub/Sub push, such as a bucket notification."""
        return await self._take(
            "pubsub", request, response, lambda _body: check_pubsub(authorization, self._settings.pubsub), lambda body: _parsed(PubSubBody, body).to_event()
        )

    async def alertmanager(self, request: Request, response: Response, authorization: Text = "") -> Answer:
        """Accept an Alertmanager notification sent with a bearer token."""
        token = self._settings.alertmanager_token
        return await self._take(
            "alertmanager", request, response, lambda _body: check_bearer(authorization, token=token), lambda body: _parsed(AlertmanagerBody, body).to_event()
        )

    async def mlflow(
        self, request: Request, response: Response, x_mlflow_signature: Text = "", x_mlflow_timestamp: Text = "", x_mlflow_delivery_id: Text = ""
    ) -> Answer:
        """Accept an MLflow webhook; setting the tag evergreen.retrain on a version of the model requests a run."""
        settings = self._settings

        def authenticate(body: bytes) -> None:
            check_mlflow(
                body,
                signature=x_mlflow_signature,
                timestamp=x_mlflow_timestamp,
                delivery_id=x_mlflow_delivery_id,
                secret=settings.mlflow_secret,
                window_s=settings.replay_window_seconds,
            )

        def read(body: bytes) -> Event | None:
            model_name = str(settings.parameters.get("model_name"))
            return _parsed(MlflowBody, body).to_event(delivery_id=x_mlflow_delivery_id, tag=settings.mlflow_tag, model_name=model_name)

        return await self._take("mlflow", request, response, authenticate, read)

    async def metrics(self) -> Response:
        """Return the metrics for Prometheus."""
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def _take(
        self, source: str, request: Request, response: Response, authenticate: Callable[[bytes], None], read: Callable[[bytes], Event | None]
    ) -> Answer:
        try:
            body = await _read_body(request, self._settings.maximum_body_bytes)
            launched = await run_in_threadpool(self._launch, body, authenticate, read)
        except EventRefusedError as error:
            self._metrics.events.labels(source, f"refused_{error.status}").inc()
            raise
        self._metrics.events.labels(source, launched.outcome).inc()
        if launched.outcome == "started":
            self._metrics.last_start.set_to_current_time()
            response.status_code = 202
        return Answer(outcome=launched.outcome, run_id=launched.run_id, run_url=launched.run_url)

    def _launch(self, body: bytes, authenticate: Callable[[bytes], None], read: Callable[[bytes], Event | None]) -> LaunchResult:
        authenticate(body)
        event = read(body)
        return LaunchResult("ignored") if event is None else self._launcher.launch(event)


async def _read_body(request: Request, limit: int) -> bytes:
    """Read a body, stopping once it exceeds the limit."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise EventRefusedError(413, f"The body is larger than {limit} bytes.")
    return bytes(body)


def _parsed(model: type[Body], body: bytes) -> Body:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "body"
        raise EventRefusedError(422, f"{field}: {first['msg']}.") from error
