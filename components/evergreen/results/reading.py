"""Reads dataclasses from JSON: absent keys take their defaults, unknown keys are ignored, and a value of the wrong type is one clear error."""

from __future__ import annotations

from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from evergreen.errors import ArtifactError, EvergreenError

if TYPE_CHECKING:
    from collections.abc import Mapping

Read = TypeVar("Read", bound="JsonResult")

INLINE = {"inline": True}
"""Metadata of a field whose own fields are inlined in the JSON object rather than nested below a key."""

_SCALARS: dict[Any, tuple[tuple[type, ...], str]] = {
    str: ((str,), "text"),
    bool: ((bool,), "true or false"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}


class JsonResult:
    """A dataclass that is written as JSON and read by this version or a later one.

    Attributes:
        written_by: The step that writes it, for messages.
    """

    written_by: ClassVar[str] = "another step"

    @classmethod
    def from_json(cls: type[Read], content: Mapping[str, Any], *, source: str, error: type[EvergreenError] = ArtifactError) -> Read:
        """Return the result read from JSON.

        Args:
            content: The JSON object. A key that is absent or null takes its default, if it has one; unknown keys are ignored.
            source: The file or record it was read from, for messages.
            error: The exception type to raise.

        Raises:
            EvergreenError: Of type ``error``: a key is missing, or its value has the wrong type.
        """
        try:
            found: Read = _read_fields(cls, content, "")
        except _UnreadableValueError as problem:
            raise error(f"{source}: {problem} Make sure that it was written by {cls.written_by}.") from problem
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]  # every subclass is a dataclass


class _UnreadableValueError(Exception):
    """A key is missing, or its value has the wrong type; the message states which, and what was expected."""


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _read_fields(kind: Any, content: Any, place: str) -> Any:
    if not isinstance(content, dict):
        raise _UnreadableValueError(f"{place or 'the content'} is {content!r}; expected an object.")
    hints = _hints(kind)
    given = {}
    for field in fields(kind):
        if field.metadata == INLINE:
            given[field.name] = _read_fields(hints[field.name], content, place)
            continue
        value, key, known = content.get(field.name), f"{place}{field.name}", field.name in content
        if value is None and _has_default(field) and not (known and _may_be_null(hints[field.name])):
            continue
        if not known and not _may_be_null(hints[field.name]):
            raise _UnreadableValueError(f"{key} is missing; expected {_expected(hints[field.name])}.")
        given[field.name] = _read_value(hints[field.name], value, key)
    return kind(**given)


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _may_be_null(wanted: Any) -> bool:
    return get_origin(wanted) in (Union, UnionType) and NoneType in get_args(wanted)


def _read_value(wanted: Any, value: Any, key: str) -> Any:
    origin = get_origin(wanted)
    if wanted is Any or _fits(wanted, value):
        return value
    if origin in (Union, UnionType):
        return _read_union(wanted, value, key)
    if isinstance(value, dict) and (origin is dict or is_dataclass(wanted)):
        return _read_object(wanted, value, key)
    if isinstance(value, list) and origin in (list, tuple):
        return origin(_read_value(get_args(wanted)[0], item, f"{key}.{position}") for position, item in enumerate(value))
    # JSON does not distinguish 5.0 from 5.
    if wanted is int and isinstance(value, float) and value.is_integer():
        return int(value)
    raise _UnreadableValueError(f"{key} is {value!r}; expected {_expected(wanted)}.")


def _fits(wanted: Any, value: Any) -> bool:
    if get_origin(wanted) is Literal:
        return isinstance(value, str) and value in get_args(wanted)
    # In Python, a bool is also an int.
    return wanted in _SCALARS and isinstance(value, _SCALARS[wanted][0]) and (wanted is bool or not isinstance(value, bool))


def _read_object(wanted: Any, value: dict[Any, Any], key: str) -> Any:
    if is_dataclass(wanted):
        return _read_fields(wanted, value, f"{key}.")
    return {str(name): _read_value(get_args(wanted)[1], item, f"{key}.{name}") for name, item in value.items()}


def _read_union(wanted: Any, value: Any, key: str) -> Any:
    if value is None and _may_be_null(wanted):
        return None
    possible = [kind for kind in get_args(wanted) if kind is not NoneType]
    if len(possible) == 1:
        return _read_value(possible[0], value, key)
    if any(_fits(kind, value) for kind in possible):
        return value
    raise _UnreadableValueError(f"{key} is {value!r}; expected {_expected(wanted)}.")


def _expected(wanted: Any) -> str:
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        return f"one of {', '.join(map(repr, arguments))}"
    if origin in (Union, UnionType):
        return " or ".join("null" if kind is NoneType else _expected(kind) for kind in arguments)
    if wanted in _SCALARS:
        return _SCALARS[wanted][1]
    return "a list" if origin in (list, tuple) else "an object"
