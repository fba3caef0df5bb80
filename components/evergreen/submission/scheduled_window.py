"""The end of the window for a schedule's runs: the slot of the schedule, which KFP passes only to some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError
from evergreen.submission.parameter_values import SCHEDULED, SCHEDULED_WITH_CRON, WINDOW_END

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


def check_catch_up(*, track: str, catch_up: bool) -> None:
    """Reject catch-up for runs that cannot know which slot they are for.

    Raises:
        SubmissionError: The schedule tracks the latest version.
    """
    if catch_up and track == "latest":
        raise SubmissionError(
            "--catch-up cannot be combined with --track latest: KFP passes such runs their creation time, not the slot they catch up on, so all of "
            "them would use the newest window. Pass --track pinned, or omit --catch-up."
        )


def scheduled_parameters(pipeline: GraphComponent, parameters: Mapping[str, Any], *, track: str, cron: str) -> dict[str, Any]:
    """Return a schedule's parameters with a window end that its runs can resolve.

    Runs of a schedule that tracks the latest version know only when they were created, shortly after their slot. To make them use
    the window of the slot, they are passed the cron expression, and the step rounds the creation time down to it.

    Args:
        pipeline: The pipeline.
        parameters: The given parameters, already checked.
        track: ``latest`` or ``pinned``.
        cron: Cron expression with six fields, seconds first.
    """
    inputs = pipeline.component_spec.inputs or {}
    if WINDOW_END not in inputs:
        return dict(parameters)
    # A default set by the pipeline's author, such as a fixed time, is kept.
    default = inputs[WINDOW_END].default
    asked = str(parameters.get(WINDOW_END, SCHEDULED if default is None else default)).strip()
    with_cron = SCHEDULED_WITH_CRON.fullmatch(asked)
    if with_cron:
        return {**parameters, WINDOW_END: f"{SCHEDULED}({parse_cron(with_cron[1]).expression})"}
    if asked.lower() != SCHEDULED:
        return dict(parameters)
    if track == "latest":
        return {**parameters, WINDOW_END: f"{SCHEDULED}({cron})"}
    return {**parameters, WINDOW_END: SCHEDULED} if WINDOW_END in parameters else dict(parameters)
