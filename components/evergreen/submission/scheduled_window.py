"""The end of the window that a schedule's runs look at: the slot of the schedule, which KFP tells only some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from evergreen.submission.cron import parse_cron
from evergreen.submission.errors import SubmissionError
from evergreen.submission.parameter_values import SCHEDULED, SCHEDULED_WITH_CRON, WINDOW_END

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


def check_catch_up(*, track: str, catch_up: bool) -> None:
    """Refuse to catch up with runs that cannot know which slot they are for.

    Raises:
        SubmissionError: The schedule tracks the latest version.
    """
    if catch_up and track == "latest":
        raise SubmissionError(
            "--catch-up with --track latest: KFP tells the runs of such a schedule when they were created, and not the slot that they make up for, so all of "
            "them would look at the newest window. Give --track pinned, or leave --catch-up off."
        )


def scheduled_parameters(pipeline: GraphComponent, parameters: Mapping[str, Any], *, track: str, cron: str) -> dict[str, Any]:
    """Return a schedule's parameters with the end of the window that its runs can find out.

    The runs of a schedule that tracks the latest version know only when they were created, a little after their slot. So that they look
    at the window of the slot, they are told the cron expression, by which the step rounds that time down.

    Args:
        pipeline: The pipeline.
        parameters: Those that were given, checked.
        track: ``latest`` or ``pinned``.
        cron: Six fields, seconds first.
    """
    inputs = pipeline.component_spec.inputs or {}
    if WINDOW_END not in inputs:
        return dict(parameters)
    # What the pipeline's author wrote for those who leave it open, such as a fixed time, stays.
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
