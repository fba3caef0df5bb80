"""Evaluates the branch conditions of a compiled pipeline, which KFP's compiler writes in the Common Expression Language.

The compiler uses only comparisons of one input with a constant or another input, conversions (``int``, ``double``, ``bool``,
``string``), and ``!``, ``&&`` and ``||``. Anything else in a condition is an error.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from evergreen.errors import EvergreenError

_TOKENS = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|&&|\|\||!(?!=)|\btrue\b|\bfalse\b|\bnull\b""")
_AS_PYTHON = {"&&": " and ", "||": " or ", "!": " not ", "true": "True", "false": "False", "null": "None"}

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.Not: operator.not_, ast.USub: operator.neg}

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"int": lambda value: int(float(value)), "double": float, "bool": bool, "string": str}


class ConditionError(EvergreenError):
    """A condition of a compiled pipeline cannot be evaluated locally."""


def is_met(condition: str, parameters: Mapping[str, Any]) -> bool:
    """Evaluate a task's trigger condition.

    Args:
        condition: The condition as written in the specification, such as ``inputs.parameter_values['x'] == 'retrain'``.
        parameters: The task's input parameters.

    Raises:
        ConditionError: The condition contains something that KFP's compiler does not write, or compares incomparable values.
    """
    # Literals are matched too, so that operators inside them are left alone.
    translated = _TOKENS.sub(lambda found: _AS_PYTHON.get(found[0], found[0]), condition)
    try:
        return bool(_value(ast.parse(translated.strip(), mode="eval").body, parameters))
    except (SyntaxError, TypeError, ValueError, KeyError) as error:
        raise ConditionError(f"condition {condition!r} cannot be evaluated: {type(error).__name__}: {error}. Compare one output with a constant.") from error


def _value(node: ast.expr, parameters: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant():
            return node.value
        case ast.UnaryOp() if type(node.op) in _SIGNS:
            return _SIGNS[type(node.op)](_value(node.operand, parameters))
        case ast.BoolOp():
            combine = all if isinstance(node.op, ast.And) else any
            return combine(_value(part, parameters) for part in node.values)
        case ast.Compare(ops=[comparison], comparators=[right]) if type(comparison) in _COMPARISONS:
            return _COMPARISONS[type(comparison)](_value(node.left, parameters), _value(right, parameters))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _CONVERSIONS:
            return _CONVERSIONS[name](_value(argument, parameters))
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="inputs"), attr="parameter_values"), slice=ast.Constant(value=str(name))):
            return parameters[name]
    raise ValueError(f"{ast.unparse(node)} is not supported")
