"""The decorator of every component: its code stays in the image, and the compiled specification only calls it.

KFP's usual components carry their own source code in the specification, and a run repeats each step's command six times in
its Workflow. Above 1 MiB of nodes Argo packs them and KFP's API shows the steps' states frozen for ever, so what a
step carries is kept small: a command of one line, and no descriptions (those stand in the docstring and in the documentation).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

EXECUTOR_MODULE = "evergreen.pipeline.executor"
"""What an image runs for a step; see there."""


def component(*, image: str) -> Callable[[Callable[..., Any]], Any]:
    """Make a KFP component of a function that an image holds.

    Args:
        image: The container image, with this package installed.

    Returns:
        A decorator. Inside a running step, where KFP defines no components, it returns the function as it is.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        if os.environ.get("_KFP_RUNTIME") == "true":
            return function
        from kfp import dsl

        made = dsl.component(function, base_image=image, install_kfp_package=False)
        container = made.component_spec.implementation.container
        room = function.__module__.removeprefix("evergreen.").removesuffix(".component")
        container.command = ["python3", "-m", EXECUTOR_MODULE, f"{room}.{function.__name__}"]
        container.args = ["--executor_input", dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER]
        _leave_out_descriptions(made.component_spec)
        return made

    return decorate


def _leave_out_descriptions(specification: Any) -> None:
    specification.description = None
    for described in (*(specification.inputs or {}).values(), *(specification.outputs or {}).values()):
        described.description = None
