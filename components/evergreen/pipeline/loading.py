"""A pipeline in a Python file: find it, and make its arguments out of what a person typed."""

from __future__ import annotations

import difflib
import importlib.util
import json
import sys
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    from kfp.dsl.graph_component import GraphComponent


class PipelineFileError(EvergreenError):
    """A pipeline file or its parameters cannot be used."""


def load_pipeline(path: Path) -> GraphComponent:
    """Return the pipeline that a Python file defines.

    Args:
        path: A file with exactly one function under ``@dsl.pipeline``.

    Raises:
        PipelineFileError: There is no such file, it does not import, or it holds no pipeline or several.
    """
    from kfp.dsl.graph_component import GraphComponent

    if not path.is_file():
        raise PipelineFileError(f"pipeline file {path}: there is no such file. Name a Python file that defines a pipeline.")
    spec = importlib.util.spec_from_file_location(f"pipeline_file_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise PipelineFileError(f"pipeline file {path}: expected a Python file, whose name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise PipelineFileError(f"pipeline file {path}: importing it failed: {type(error).__name__}: {error}.") from error
    found = {name: value for name, value in vars(module).items() if isinstance(value, GraphComponent)}
    if len(found) != 1:
        raise PipelineFileError(f"pipeline file {path}: expected one function under @dsl.pipeline, found {len(found)}: {', '.join(found) or 'none'}.")
    return next(iter(found.values()))


def read_parameter_file(path: Path) -> dict[str, Any]:
    """Return the parameters of a YAML or JSON file: one mapping of names to values.

    Raises:
        PipelineFileError: The file is absent, is no YAML, or holds no mapping.
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
    """Return what was given as ``name=value``.

    Args:
        assignments: As typed.
        noun: What they are, for the message.
        example: One that is right, for the message.

    Raises:
        PipelineFileError: One of them has no ``=``.
    """
    parsed = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise PipelineFileError(f"{noun} {assignment!r}: expected name=value, such as {example}.")
        parsed[name.strip()] = value
    return parsed


def arguments_for(pipeline: GraphComponent, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a pipeline, each in the type that its parameter has.

    Args:
        pipeline: The pipeline.
        given: Values by parameter name; text is converted.

    Raises:
        PipelineFileError: A name is unknown, a value has the wrong type, or a required parameter is missing.
    """
    inputs = pipeline.component_spec.inputs or {}
    for name in given:
        if name not in inputs:
            close = difflib.get_close_matches(name, inputs, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else f" It takes: {', '.join(sorted(inputs))}."
            raise PipelineFileError(f"parameter {name!r}: pipeline {pipeline.name!r} has no such parameter.{hint}")
    missing = [name for name, spec in inputs.items() if not spec.optional and name not in given]
    if missing:
        raise PipelineFileError(f"parameter {missing[0]!r} of pipeline {pipeline.name!r} is required and was not given. Give it with -p {missing[0]}=VALUE.")
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
    # YAML turns 1981-01-01 into a date and {"a": 1} into a mapping; the pipeline takes both as text.
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return value if isinstance(value, str) else json.dumps(value)
