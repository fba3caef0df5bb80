"""Loads the pipeline that a Python file defines, and converts user input to its arguments."""

from __future__ import annotations

import importlib.util
import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evergreen.errors import EvergreenError
from evergreen.settings.suggestions import did_you_mean

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


class PipelineFileError(EvergreenError):
    """A pipeline file or its parameters are invalid."""


def load_pipeline(path: Path) -> GraphComponent:
    """Return the pipeline that a Python file defines.

    Args:
        path: A file with exactly one function decorated with ``@dsl.pipeline``.

    Raises:
        PipelineFileError: The file does not exist, cannot be imported, or does not define exactly one pipeline.
    """
    from kfp.dsl.graph_component import GraphComponent

    if not path.is_file():
        raise PipelineFileError(f"pipeline file {path}: no such file. Specify a Python file that defines a pipeline.")
    spec = importlib.util.spec_from_file_location(f"pipeline_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PipelineFileError(f"pipeline file {path}: expected a Python file with a name that ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PipelineFileError(f"pipeline file {path}: importing it failed: {type(error).__name__}: {error}.") from error
    found = {name: value for name, value in vars(module).items() if isinstance(value, GraphComponent)}
    if len(found) != 1:
        raise PipelineFileError(f"pipeline file {path}: expected one function decorated with @dsl.pipeline, found {len(found)}: {', '.join(found) or 'none'}.")
    return next(iter(found.values()))


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Read parameters from a YAML or JSON file that contains one mapping of names to values.

    Raises:
        PipelineFileError: The file does not exist, is not YAML, or does not contain a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PipelineFileError(f"parameter file {path}: cannot be read: {error.strerror}.") from error
    except yaml.YAMLError as error:
        raise PipelineFileError(f"parameter file {path}: is not YAML: {error}.") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise PipelineFileError(f"parameter file {path}: expected a mapping of parameter names to values, found {type(content).__name__}.")
    return {str(name): value for name, value in content.items()}


def parse_assignments(assignments: list[str], *, noun: str = "parameter", example: str = "-p data_window_days=30") -> dict[str, str]:
    """Parse assignments of the form ``name=value``.

    Args:
        assignments: The assignments as typed.
        noun: What the names are, for the error message.
        example: A valid assignment, for the error message.

    Raises:
        PipelineFileError: An assignment has no ``=``.
    """
    parsed = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise PipelineFileError(f"{noun} {assignment!r}: expected name=value, such as {example}.")
        parsed[name.strip()] = value
    return parsed


def arguments_for(pipeline: GraphComponent, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a pipeline, each converted to the type of its parameter.

    Args:
        pipeline: The pipeline.
        given: Values by parameter name; text is converted.

    Raises:
        PipelineFileError: A name is unknown, a value has the wrong type, or a required parameter is missing.
    """
    inputs = pipeline.component_spec.inputs or {}
    for name in given:
        if name not in inputs:
            hint = did_you_mean(name, inputs) or f" Valid parameters: {', '.join(sorted(inputs))}."
            raise PipelineFileError(f"Unknown parameter {name!r} for pipeline {pipeline.name!r}.{hint} Correct the name or omit it.")
    missing = [name for name, spec in inputs.items() if not spec.optional and name not in given]
    if missing:
        raise PipelineFileError(f"parameter {missing[0]!r} of pipeline {pipeline.name!r} is required but was not given. Pass it with -p {missing[0]}=VALUE.")
    return {name: _converted(name, value, inputs[name].type) for name, value in given.items()}


def _converted(name: str, value: Any, kind: str) -> Any:
    try:
        if kind == "Integer":
            return _whole_number(value)
        if kind == "Float":
            return float(value)
        if kind == "Boolean":
            return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
        if kind == "String":
            return _text(value)
    except (ValueError, KeyError, TypeError) as error:
        expected = {"Integer": "a whole number", "Float": "a number", "Boolean": "true or false"}[kind]
        raise PipelineFileError(f"parameter {name!r} is {value!r}: expected {expected}.") from error
    return json.loads(value) if isinstance(value, str) else value


def _whole_number(value: Any) -> int:
    if isinstance(value, bool) or float(value) != int(float(value)):
        raise ValueError(value)
    return int(float(value))


def _text(value: Any) -> str:
    # YAML parses 1981-01-01 as a date and {"a": 1} as a mapping; the pipeline expects both as text.
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value)
