"""Cross-column rules, written as expressions such as ``high >= low or not present(low)``.

Only column names, constants, comparisons, arithmetic, ``and``, ``or``, ``not``, ``in`` and a few functions are supported, so that
a contract cannot run code.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from evergreen.validation.errors import ContractError

_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
FUNCTIONS = ("column", "present", "abs", "length")
_KNOWN = "columns, numbers, text, + - * / %, comparisons, in, and, or, not, and " + ", ".join(f"{name}(...)" for name in FUNCTIONS)


@dataclass(frozen=True)
class Expression:
    """A validated expression.

    Attributes:
        text: The expression as written.
        tree: Its syntax tree, which contains only supported nodes.
        columns: The columns that it uses, in order.
    """

    text: str
    tree: ast.expr
    columns: tuple[str, ...]

    def holds(self, frame: pd.DataFrame) -> pd.Series[bool]:
        """Return for each row whether the rule holds; it holds where a value is missing, except for values tested with ``present``.

        Raises:
            ContractError: The rule cannot be applied to the values.
        """
        try:
            result = _evaluate(self.tree, frame)
        except (TypeError, ValueError) as error:
            raise ContractError(f"rule {self.text!r}: cannot be applied to the data: {error}. Compare columns of the same type.") from error
        truth = pd.Series(result, index=frame.index) if not isinstance(result, pd.Series) else result
        asked = {node.args[0] for node in ast.walk(self.tree) if isinstance(node, ast.Call) and _function(node) == "present"}
        needed = [name for node in ast.walk(self.tree) if node not in asked and (name := _column_of(node)) is not None and not _inside(node, asked)]
        unknown = frame[sorted(set(needed))].isna().any(axis="columns") if needed else pd.Series(np.zeros(len(frame), dtype=bool), index=frame.index)
        return truth.fillna(value=True).astype(bool) | unknown


def parse_expression(text: str) -> Expression:
    """Parse and validate an expression.

    Args:
        text: The expression. A column whose name is not an identifier is written as ``column("its name")``.

    Raises:
        ContractError: The text is not an expression, or contains unsupported syntax.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ContractError(f"rule {text!r}: is not an expression: {error}. Supported: {_KNOWN}.") from error
    _check(tree, text)
    names = [name for node in ast.walk(tree) if (name := _column_of(node)) is not None]
    if not names:
        raise ContractError(f"rule {text!r}: uses no column. Supported: {_KNOWN}.")
    return Expression(text, tree, tuple(dict.fromkeys(names)))


def _check(node: ast.expr, text: str) -> None:
    parts = _parts(node)
    if parts is None:
        raise ContractError(f"rule {text!r}: {ast.unparse(node)!r} is not supported. Supported: {_KNOWN}.")
    for part in parts:
        _check(part, text)


def _parts(node: ast.expr) -> list[ast.expr] | None:
    """Return the children of a node, or None if it is not supported."""
    known: list[ast.expr] | None = None
    match node:
        case ast.Name() | ast.Constant(value=bool() | int() | float() | str()):
            known = []
        case ast.BoolOp(values=values):
            known = values
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            known = [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            known = [left, right]
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.List(elts=values) | ast.Tuple(elts=values)]):
            known = [left, *values] if all(isinstance(value, ast.Constant) for value in values) else None
        case ast.Compare(left=left, ops=comparisons, comparators=others) if all(type(comparison) in _COMPARISONS for comparison in comparisons):
            known = [left, *others]
        case ast.Call(args=arguments) if _is_known_call(node):
            known = arguments
    return known


def _is_known_call(node: ast.Call) -> bool:
    name = _function(node)
    if name not in FUNCTIONS or node.keywords or len(node.args) != 1:
        return False
    argument = node.args[0]
    if name == "column":
        return isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    return name != "present" or _column_of(argument) is not None


def _function(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _column_of(node: ast.AST) -> str | None:
    """Return the column that a node refers to, or None if it is not a column."""
    if isinstance(node, ast.Call) and _function(node) == "column" and isinstance(node.args[0], ast.Constant):
        return str(node.args[0].value)
    return node.id if isinstance(node, ast.Name) and node.id not in FUNCTIONS else None


def _inside(node: ast.AST, others: set[ast.expr]) -> bool:
    return any(node is part for other in others for part in ast.walk(other))


def _evaluate(node: ast.expr, frame: pd.DataFrame) -> Any:
    name = _column_of(node)
    if name is not None:
        return frame[name]
    result: Any = None
    match node:
        case ast.Constant(value=value):
            result = value
        case ast.BoolOp(op=op, values=values):
            result = _joined([_evaluate(value, frame) for value in values], every=isinstance(op, ast.And))
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, frame)
            result = np.logical_not(value) if isinstance(op, ast.Not) else -value
        case ast.BinOp(left=left, op=op, right=right):
            result = _ARITHMETIC[type(op)](_evaluate(left, frame), _evaluate(right, frame))
        case ast.Compare():
            result = _comparison(node, frame)
        case ast.Call(args=[argument]):
            result = _call(_function(node), _evaluate(argument, frame))
    return result


def _joined(truths: list[Any], *, every: bool) -> Any:
    result = truths[0]
    for truth in truths[1:]:
        result = np.logical_and(result, truth) if every else np.logical_or(result, truth)
    return result


def _comparison(node: ast.Compare, frame: pd.DataFrame) -> Any:
    left = _evaluate(node.left, frame)
    values = node.comparators[0]
    if isinstance(values, (ast.List, ast.Tuple)):
        inside = pd.Series(left).isin([item.value for item in values.elts if isinstance(item, ast.Constant)])
        return inside if isinstance(node.ops[0], ast.In) else ~inside
    parts = []
    for comparison, comparator in zip(node.ops, node.comparators, strict=True):
        right = _evaluate(comparator, frame)
        parts.append(_COMPARISONS[type(comparison)](*_as_times(left, right)))
        left = right
    return _joined(parts, every=True)


def _as_times(left: Any, right: Any) -> tuple[Any, Any]:
    # Times are written as text in an expression.
    if isinstance(right, str) and isinstance(left, pd.Series) and isinstance(left.dtype, pd.DatetimeTZDtype):
        return left, pd.to_datetime(right, utc=True)
    return left, right


def _call(name: str, value: Any) -> Any:
    if name == "present":
        return value.notna()
    return value.str.len() if name == "length" else abs(value)
