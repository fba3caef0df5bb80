"""Entry point of every step's container: runs the component's function with KFP's own executor.

``python3 -m evergreen.pipeline.executor ROOM.FUNCTION --executor_input JSON``. In addition to what ``kfp.dsl.executor_main`` does, it loads
the keys of the mounted secret before any library looks for them, and masks their values in everything that the step prints.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import traceback
from typing import Any

from evergreen.data.masked_files import mask_file
from evergreen.errors import EvergreenError
from evergreen.secrets.files import load_secrets
from evergreen.secrets.masked_streams import masked_output
from evergreen.version import __version__

DATA_TYPES = ("system.Dataset", "system.Model")


def main(arguments: list[str] | None = None) -> int:
    """Run one step.

    Args:
        arguments: The component as ``ROOM.FUNCTION``, and ``--executor_input`` with the JSON from KFP's driver.

    Returns:
        The exit status: 0, or 1 if the step failed. The last printed line then states the reason.
    """
    parser = argparse.ArgumentParser(prog="evergreen.pipeline.executor", description="Run one step of a pipeline.")
    parser.add_argument("component", metavar="ROOM.FUNCTION")
    parser.add_argument("--executor_input", required=True)
    given = parser.parse_args(arguments)
    # Makes KFP's packages import only what a running step needs, and leaves components as plain functions.
    os.environ["_KFP_RUNTIME"] = "true"
    with masked_output():
        print(f"Evergreen {__version__}: {given.component}", file=sys.stderr)  # noqa: T201  # the step's log is standard error
        try:
            # Before any library looks for its credentials.
            load_secrets()
            _execute(load_function(given.component), json.loads(given.executor_input))
        except Exception as error:  # noqa: BLE001  # any error of a step is reported in its last line
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  # the step's log is standard error
            return 1
    return 0


class UnknownComponentError(EvergreenError):
    """The image does not contain the component."""


def load_function(component: str) -> Any:
    """Return a component's function by room and name, such as ``drift.detect_drift``.

    Raises:
        UnknownComponentError: The component does not exist; the pipeline was compiled for another version of the image.
    """
    room, _, name = component.rpartition(".")
    module = f"evergreen.{room}.component"
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name not in {module, f"evergreen.{room}"}:
            raise
        raise UnknownComponentError(
            f"Unknown component {component!r} for Evergreen {__version__} in this image. The pipeline was compiled for another version: "
            "compile it with the image's version, or run it with an image of the version that compiled it."
        ) from error


def _execute(function: Any, executor_input: dict[str, Any]) -> None:
    from kfp.dsl.executor import Executor

    try:
        Executor(executor_input=executor_input, function_to_execute=function).execute()
    finally:
        # KFP also keeps the outputs of a failed step.
        _mask_outputs(executor_input["outputs"])


def _mask_outputs(outputs: dict[str, Any]) -> None:
    """Mask secrets in reports, results and KFP's record of them; data and models are not text."""
    from kfp import dsl

    mask_file(outputs["outputFile"])
    for listed in outputs.get("artifacts", {}).values():
        for artifact in listed["artifacts"]:
            if artifact["type"].get("schemaTitle") not in DATA_TYPES:
                mask_file(dsl.Artifact(uri=artifact["uri"]).path)


if __name__ == "__main__":
    sys.exit(main())
