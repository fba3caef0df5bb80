"""What an image runs for a step: the component's function, by KFP's own executor.

``python3 -m evergreen.pipeline.executor ROOM.FUNCTION --executor_input JSON``. Besides what ``kfp.dsl.executor_main`` does, it reads the
keys of the mounted secret before any library looks for them, and keeps their values out of everything the step prints.
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
        arguments: The component as ``ROOM.FUNCTION``, and ``--executor_input`` with the JSON that KFP's driver hands over.

    Returns:
        The exit status: 0, or 1 when the step failed. The last line that is printed then says why.
    """
    parser = argparse.ArgumentParser(prog="evergreen.pipeline.executor", description="Run one step of a pipeline.")
    parser.add_argument("component", metavar="ROOM.FUNCTION")
    parser.add_argument("--executor_input", required=True)
    given = parser.parse_args(arguments)
    # KFP's packages load only what a running step needs, and components stay plain functions.
    os.environ["_KFP_RUNTIME"] = "true"
    with masked_output():
        print(f"Evergreen {__version__}: {given.component}", file=sys.stderr)  # noqa: T201  # the step's log is standard error
        try:
            # Before any library looks for its credentials.
            load_secrets()
            _execute(load_function(given.component), json.loads(given.executor_input))
        except Exception as error:  # noqa: BLE001  # whatever a step raises is told in its last line
            traceback.print_exc()
            print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201  # the step's log is standard error
            return 1
    return 0


class UnknownComponentError(EvergreenError):
    """The image holds no such component."""


def load_function(component: str) -> Any:
    """Return a component's function by its room and name, such as ``drift.detect_drift``.

    Raises:
        UnknownComponentError: The pipeline was compiled for another version of the image.
    """
    room, _, name = component.rpartition(".")
    module = f"evergreen.{room}.component"
    try:
        return getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name not in {module, f"evergreen.{room}"}:
            raise
        raise UnknownComponentError(
            f"component {component!r}: Evergreen {__version__} in this image has no such component. The pipeline was compiled for another version: "
            "compile it with the version of the image, or run it in the image of the version that compiled it."
        ) from error


def _execute(function: Any, executor_input: dict[str, Any]) -> None:
    from kfp.dsl.executor import Executor

    try:
        Executor(executor_input=executor_input, function_to_execute=function).execute()
    finally:
        # KFP keeps the outputs of a failed step, too.
        _mask_outputs(executor_input["outputs"])


def _mask_outputs(outputs: dict[str, Any]) -> None:
    """Keep secrets out of reports and results, and out of what KFP remembers of them; data and models are no texts."""
    from kfp import dsl

    mask_file(outputs["outputFile"])
    for listed in outputs.get("artifacts", {}).values():
        for artifact in listed["artifacts"]:
            if artifact["type"].get("schemaTitle") not in DATA_TYPES:
                mask_file(dsl.Artifact(uri=artifact["uri"]).path)


if __name__ == "__main__":
    sys.exit(main())
