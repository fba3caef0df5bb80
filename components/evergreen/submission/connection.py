"""A connection to the Kubeflow Pipelines API, with readable errors."""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from evergreen.submission.errors import SubmissionError

HOST_VARIABLE = "EVERGREEN_KFP_HOST"
TOKEN_VARIABLE = "EVERGREEN_KFP_TOKEN"  # noqa: S105  # the name of a variable, not a token
COOKIE_VARIABLE = "EVERGREEN_KFP_COOKIE"
POD_TOKEN_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"  # noqa: S105  # the name of a variable, which KFP's own documentation uses

REQUEST_TIMEOUT_S = (10, 60)
"""Seconds to connect and to wait for a response. Without them, the generated client would wait forever."""

KEPT_OF_AN_ANSWER = 1 << 20
"""Bytes kept from the end of a response, such as a log."""


@dataclass(frozen=True)
class Connection:
    """The services of a KFP installation that Evergreen uses.

    Attributes:
        host: Address of the server, for messages.
        namespace: The profile's namespace in multi-user mode; None in single-user mode.
        pipelines: Generated client of the pipeline service.
        uploads: Generated client of the upload service.
        experiments: Generated client of the experiment service.
        runs: Generated client of the run service.
        recurring_runs: Generated client of the recurring-run service.
        ui: Address of the user interface.
        generated: The generated client itself, for calls it has no method for.
    """

    host: str
    namespace: str | None
    ui: str
    pipelines: Any = field(repr=False)
    uploads: Any = field(repr=False)
    experiments: Any = field(repr=False)
    runs: Any = field(repr=False)
    recurring_runs: Any = field(repr=False)
    generated: Any = field(repr=False)

    def run_url(self, run_id: str) -> str:
        """Return the URL of a run's page."""
        return f"{self.ui}/#/runs/details/{run_id}"

    def schedule_url(self, recurring_run_id: str) -> str:
        """Return the URL of a schedule's page."""
        return f"{self.ui}/#/recurringrun/details/{recurring_run_id}"

    def read_text(self, path: str, places: Mapping[str, str], *, purpose: str) -> str:
        """Return the end of the response to an API path, as text.

        Args:
            path: The path, with placeholders in braces.
            places: Values of the placeholders.
            purpose: What the request is for, used in the error message.

        Raises:
            SubmissionError: The path does not exist, or the server refuses or cannot be reached.
        """
        with self.speaking(purpose):
            answered = self.generated.call_api(
                path, "GET", dict(places), [], {}, auth_settings=["Bearer"], _preload_content=False, _request_timeout=REQUEST_TIMEOUT_S
            )
            end = bytearray()
            for chunk in answered.stream(65536):
                end = (end + chunk)[-KEPT_OF_AN_ANSWER:]
            return bytes(end).decode("utf-8", errors="replace")

    def version(self) -> str:
        """Return the version that the server reports; empty if it reports none."""
        try:
            told = json.loads(self.read_text("/apis/v2beta1/healthz", {}, purpose="asking for its version"))
        except (SubmissionError, ValueError):
            return ""
        return str(told.get("tag_name") or "") if isinstance(told, dict) else ""

    @contextmanager
    def speaking(self, purpose: str) -> Iterator[None]:
        """Convert errors of the generated client inside the block into a SubmissionError that names the purpose."""
        with _plain_errors(self.host, purpose):
            yield


def connect(host: str | None = None, namespace: str | None = None) -> Connection:
    """Connect to Kubeflow Pipelines in the same way as ``kfp.Client``.

    Args:
        host: Address of the API. Defaults to ``EVERGREEN_KFP_HOST``, then the in-cluster service. A token is read from
            ``EVERGREEN_KFP_TOKEN`` and a cookie from ``EVERGREEN_KFP_COOKIE``, because other users could see them on a command line.
        namespace: The profile's namespace in multi-user mode.

    Raises:
        SubmissionError: The server cannot be reached or denies access.
    """
    import kfp_server_api as api

    address = host or os.environ.get(HOST_VARIABLE)
    shown = address or "the in-cluster address"
    if address is not None and not address.startswith(("http://", "https://")):
        raise SubmissionError(f"Invalid host {address!r}: expected an address such as https://kubeflow.example.com/pipeline or http://localhost:8888.")
    with _plain_errors(shown, "connecting"), warnings.catch_warnings():
        # kfp.Client warns for every server that it must be version 2.
        warnings.simplefilter("ignore", FutureWarning)
        client = _client_class()(
            host=address,
            namespace=namespace or "kubeflow",
            existing_token=os.environ.get(TOKEN_VARIABLE) or None,
            cookies=os.environ.get(COOKIE_VARIABLE) or None,
            credentials=_pod_credentials(),
        )
        client.get_kfp_healthz()
    generated = client.api_client
    return Connection(
        host=shown,
        namespace=namespace or client.get_user_namespace() or None,
        ui=client.user_interface(),
        pipelines=api.PipelineServiceApi(generated),
        uploads=api.PipelineUploadServiceApi(generated),
        experiments=api.ExperimentServiceApi(generated),
        runs=api.RunServiceApi(generated),
        recurring_runs=api.RecurringRunServiceApi(generated),
        generated=generated,
    )


def _pod_credentials() -> Any:
    """Return the KFP token that Kubernetes mounts into the pod, if any: in multi-user mode, KFP requires it at any address."""
    from kfp.client import ServiceAccountTokenVolumeCredentials

    path = os.environ.get(POD_TOKEN_VARIABLE)
    return ServiceAccountTokenVolumeCredentials(path=path) if path else None


def _client_class() -> Any:
    """Return a kfp client that exposes its generated client and checks health only once; kfp tries five times and prints every traceback."""
    from kfp.client import Client

    class QuietClient(Client):  # type: ignore[misc]  # kfp has no types
        @property
        def api_client(self) -> Any:
            return self._run_api.api_client

        def user_interface(self) -> str:
            return str(self._get_url_prefix())

        def get_kfp_healthz(self, sleep_duration: int = 0) -> Any:
            del sleep_duration
            return self._healthz_api.healthz_service_get_healthz(_request_timeout=REQUEST_TIMEOUT_S)

    return QuietClient


@contextmanager
def _plain_errors(host: str, purpose: str) -> Iterator[None]:
    import kfp_server_api
    import urllib3.exceptions

    # Each of urllib3's attempts would log a warning before the one line that says what is wrong.
    attempts = logging.getLogger("urllib3.connectionpool")
    level = attempts.level
    attempts.setLevel(logging.ERROR)
    try:
        yield
    except kfp_server_api.ApiException as error:
        raise SubmissionError(f"Kubeflow Pipelines at {host}: {purpose}: {_reason(error)}") from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise SubmissionError(
            f"Kubeflow Pipelines at {host}: {purpose}: cannot reach the server ({type(error).__name__}). Set its address with --host or {HOST_VARIABLE}; "
            "from outside the cluster, first run: kubectl port-forward -n kubeflow svc/ml-pipeline 8888:8888."
        ) from error
    except ValueError as error:
        if isinstance(error, SubmissionError):
            raise
        # The generated models reject unknown values, such as a state of a newer server.
        raise SubmissionError(f"Kubeflow Pipelines at {host}: {purpose}: cannot read the response: {error}.") from error
    finally:
        attempts.setLevel(level)


def _reason(error: Any) -> str:
    if error.status in {401, 403}:
        return f"access denied ({error.status}). Set a token in {TOKEN_VARIABLE} or a cookie in {COOKIE_VARIABLE}, or ask for access to the namespace."
    return f"the server responded with {error.status}: {_message(error.body) or str(error.reason).strip()}"


def _message(body: Any) -> str:
    """Return the server's error message; uploads and logs use different fields from the rest of the API."""
    try:
        told = json.loads(body)
    except (TypeError, ValueError):
        return ""
    found = (told.get(name) for name in ("message", "error_message", "error", "error_details")) if isinstance(told, dict) else ()
    return next((text.strip()[:500] for text in found if isinstance(text, str) and text.strip()), "")
