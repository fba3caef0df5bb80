"""The decorator of every component. Its code stays in the image; the compiled specification only calls it.

KFP's usual components embed their source code in the specification, and a run repeats each step's command six times in its
Workflow object. Above 1 MiB of nodes, Argo compresses them and KFP's API never updates the steps' states again. Steps are
therefore kept small: a one-line command, and no descriptions (see the docstrings and the documentation instead).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

EXECUTOR_MODULE = "evergreen.pipeline.executor"
"""The module that an image runs for each step."""


def component(*, image: str) -> Callable[[Callable[..., Any]], Any]:
    """Create a KFP component from a function that is installed in an image.

    Args:
        image: The container image, with this package installed.

    Returns:
        A decorator. Inside a running step, where KFP defines no components, it returns the function unchanged.
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
