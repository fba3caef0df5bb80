"""Starts runs from events: one run per event, within the allowed rate."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from evergreen.trigger.errors import EventRefusedError

if TYPE_CHECKING:
    from evergreen.submission.connection import Connection
    from evergreen.trigger.events import Event
    from evergreen.trigger.settings import TriggerSettings

REMEMBERED_EVENTS = 10_000
HOUR_S = 3600.0


@dataclass(frozen=True)
class LaunchResult:
    """The result of an event.

    Attributes:
        outcome: ``started``, ``duplicate`` or ``ignored``.
        run_id: The run of the event; None if the event was ignored.
        run_url: The run's page in the KFP UI.
    """

    outcome: Literal["started", "duplicate", "ignored"]
    run_id: str | None = None
    run_url: str | None = None


class Launcher:
    """Starts runs, one event at a time.

    The name of a run ends with a hash of its event's key. Before a run is started, KFP is searched for a run with that suffix, so that an event
    is recognized even after a restart of the service.
    """

    def __init__(self, settings: TriggerSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Store the configuration; the connection is opened when the first event arrives."""
        self._settings = settings
        self._clock = clock
        self._connection: Connection | None = None
        self._seen: OrderedDict[str, LaunchResult] = OrderedDict()
        self._starts: deque[float] = deque()
        self._lock = threading.Lock()

    def launch(self, event: Event) -> LaunchResult:
        """Start the event's run unless it already has one.

        Raises:
            EventRefusedError: A parameter is wrong or may not be set by events (422), there were too many runs within the hour (429), or KFP cannot
                be reached (503) and the sender should retry.
        """
        not_allowed = sorted(set(event.parameters) - set(self._settings.parameters_from_events))
        if not_allowed:
            raise EventRefusedError(
                422, f"parameter {not_allowed[0]!r}: not allowed in events. Allowed parameters: {', '.join(self._settings.parameters_from_events) or 'none'}."
            )
        mark = event_mark(event)
        with self._lock:
            if mark in self._seen:
                self._seen.move_to_end(mark)
                return self._seen[mark]
            launched = self._launch(mark, event)
            self._seen[mark] = LaunchResult("duplicate", launched.run_id, launched.run_url)
            if len(self._seen) > REMEMBERED_EVENTS:
                self._seen.popitem(last=False)
            return launched

    def _launch(self, mark: str, event: Event) -> LaunchResult:
        from evergreen.pipeline.loading import PipelineFileError
        from evergreen.submission.errors import SubmissionError
        from evergreen.submission.parameter_values import ParameterValueError, check_parameter_values

        try:
            check_parameter_values({**self._settings.parameters, **event.parameters})
            connection = self._connected()
            earlier = _find_run(connection, mark)
            if earlier is not None:
                return LaunchResult("duplicate", earlier, connection.run_url(earlier))
            self._check_rate()
            run_id = self._start(connection, mark, event)
        except ParameterValueError as error:
            raise EventRefusedError(422, str(error)) from error
        except SubmissionError as error:
            # The next event reconnects, because a token may have expired.
            self._connection = None
            raise EventRefusedError(503, str(error), retry_after_s=60) from error
        except PipelineFileError as error:
            raise EventRefusedError(422, str(error)) from error
        self._starts.append(self._clock())
        return LaunchResult("started", run_id, connection.run_url(run_id))

    def _connected(self) -> Connection:
        from evergreen.submission.connection import connect

        if self._connection is None:
            self._connection = connect(self._settings.kfp_host, self._settings.namespace)
        return self._connection

    def _check_rate(self) -> None:
        now = self._clock()
        while self._starts and now - self._starts[0] >= HOUR_S:
            self._starts.popleft()
        if len(self._starts) >= self._settings.runs_per_hour:
            wait_s = int(HOUR_S - (now - self._starts[0])) + 1
            raise EventRefusedError(
                429, f"{len(self._starts)} runs were started within the past hour; {self._settings.runs_per_hour} are allowed.", retry_after_s=wait_s
            )

    def _start(self, connection: Connection, mark: str, event: Event) -> str:
        from evergreen.pipeline.loading import arguments_for
        from evergreen.submission.parameter_values import check_parameter_values
        from evergreen.submission.run_names import default_run_name, effective_parameters, experiment_name
        from evergreen.submission.runs import start_run
        from evergreen.submission.server_pipelines import Version, experiment_id, find_version, pipeline_of_version, require_pipeline

        pipeline_id = require_pipeline(connection, self._settings.pipeline)
        found = find_version(connection, pipeline_id)
        pipeline = pipeline_of_version(found)
        arguments: dict[str, Any] = arguments_for(pipeline, {**self._settings.parameters, **event.parameters})
        parameters = effective_parameters(pipeline, arguments)
        check_parameter_values(parameters)
        return start_run(
            connection,
            Version(pipeline_id=pipeline_id, version_id=str(found.pipeline_version_id), name=str(found.display_name)),
            name=f"{default_run_name(self._settings.pipeline, parameters)} {mark}",
            experiment=experiment_id(connection, experiment_name(self._settings.experiment, parameters)),
            parameters=arguments,
            service_account=self._settings.service_account,
        )


def event_mark(event: Event) -> str:
    """Return the suffix of the name of an event's run. The sender's key is hashed, so that the sender cannot choose the name."""
    digest = hashlib.sha256(f"{event.source}\0{event.key}".encode("utf-8", errors="surrogatepass")).hexdigest()[:24]
    return f"{event.source} {digest}"


def _find_run(connection: Connection, mark: str) -> str | None:
    from evergreen.submission.server_pipelines import contains, in_namespace, pages

    with connection.speaking("looking for the event's run"):
        listed = pages(connection.runs.run_service_list_runs, "runs", filter=contains("display_name", mark), **in_namespace(connection))
        return next((str(run.run_id) for run in listed if str(run.display_name).endswith(f" {mark}")), None)
