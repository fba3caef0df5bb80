"""Settings given in one text parameter: inline, or as the location of a file."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from evergreen.errors import EvergreenError, StateError
from evergreen.settings.suggestions import did_you_mean
from evergreen.storage.uris import is_nothing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic_core import ErrorDetails

Settings = TypeVar("Settings")
NO_SUCH_SETTING = ("extra_forbidden", "unexpected_keyword_argument")


def read_settings(value: str, model: type[Settings], *, parameter: str, error: type[EvergreenError]) -> Settings:
    """Read and validate settings.

    Args:
        value: ``default``, inline YAML or JSON, or the path or ``gs://`` URI of a YAML or JSON file.
        model: Pydantic model or dataclass that the settings must match. It rejects unknown keys.
        parameter: Name of the parameter, for the error message.
        error: The exception type to raise.

    Returns:
        The settings, with defaults for those that were not given.

    Raises:
        EvergreenError: Of type ``error``; it names the setting, its value and what was expected.
    """
    content = read_mapping(value, parameter=parameter, error=error)
    return model() if content is None else check_settings(content, model, parameter=parameter, error=error)


def read_mapping(value: str, *, parameter: str, error: type[EvergreenError]) -> dict[Any, Any] | None:
    """Read a mapping of settings to values without validating them.

    Args:
        value: ``default``, inline YAML or JSON, or the path or ``gs://`` URI of a YAML or JSON file.
        parameter: Name of the parameter, for the error message.
        error: The exception type to raise.

    Returns:
        The mapping; None for ``default``.

    Raises:
        EvergreenError: Of type ``error``: the text cannot be read, or is not a mapping.
    """
    if is_nothing(value) or value.strip() == "default":
        return None
    import yaml

    try:
        content = yaml.safe_load(value)
        if isinstance(content, str):
            location = content.strip()
            thing = f"{parameter} {_shortened(location)!r}"
            content = yaml.safe_load(read_text(location, thing=thing, expected="'default', inline settings, a path, or gs://bucket/object", error=error))
    except yaml.YAMLError as problem:
        raise error(
            f"{parameter} {_shortened(value)!r} is neither YAML nor JSON: {problem}. Pass a mapping such as {{name: value}}, or the location of a file."
        ) from problem
    if not isinstance(content, dict):
        raise error(f"{parameter} {_shortened(value)!r} is a {type(content).__name__}: expected a mapping of settings to values, such as {{name: value}}.")
    return content


def check_settings(content: Any, model: type[Settings], *, parameter: str, error: type[EvergreenError], section: str = "") -> Settings:
    """Validate settings.

    Args:
        content: The settings as read.
        model: Pydantic model or dataclass that they must match.
        parameter: Name of the parameter, for the error message.
        error: The exception type to raise.
        section: Name of the enclosing section, for the error message.

    Raises:
        EvergreenError: Of type ``error``; it names the setting, its value and what was expected.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(model).validate_python(content)
    except ValidationError as problem:
        raise error(f"{parameter}: " + " ".join(_sentence(detail, model, section) for detail in problem.errors())) from problem


def read_text(location: str, *, thing: str, expected: str, error: type[EvergreenError]) -> str:
    """Read a text file from a path or a ``gs://`` or ``s3://`` URI.

    Args:
        location: The path or URI.
        thing: What it is, for the error's message; ends with its value.
        expected: What could be passed instead, for the error's message.
        error: The room's error.

    Raises:
        EvergreenError: Of the type ``error``: there is no such file, or it cannot be read as text.
    """
    from evergreen.storage.opening import open_store

    folder, _, name = location.rpartition("/")
    try:
        content = open_store(folder or ("/" if location.startswith("/") else ".")).read(name) if name else None
        text = None if content is None else content.decode()
    except UnicodeDecodeError as problem:
        raise error(f"{thing} is not UTF-8 text: {problem}. Save the file as UTF-8.") from problem
    except (OSError, StateError, UnicodeError) as problem:
        raise error(f"{thing} cannot be read: {problem} Expected {expected}.") from problem
    if text is None:
        raise error(f"{thing} cannot be read: file {PurePosixPath(name).name!r} does not exist. Expected {expected}.")
    return text


def unknown_setting(name: str, settings: Sequence[str], *, section: str = "") -> str:
    """Return the sentence on a setting that does not exist.

    Args:
        name: Its name.
        settings: The settings that exist there.
        section: The section that it was given in, with a period at its end; empty outside of sections.
    """
    return f"Unknown setting {section + name!r}. Valid settings: {', '.join(settings)}.{did_you_mean(name, settings)} Correct the name or omit it."


def _sentence(detail: ErrorDetails, model: type[Any], section: str) -> str:
    name = ".".join(str(part) for part in ((section,) if section else ()) + detail["loc"]) or "The value"
    if detail["type"] in NO_SUCH_SETTING:
        settings = _names(_holder(model, detail["loc"]))
        return unknown_setting(str(detail["loc"][-1]), settings, section=name.removesuffix(str(detail["loc"][-1])))
    return f"{name} is {detail['input']!r}: {detail['msg']}. Correct the value, or omit it to use the default."


def _holder(model: type[Any], location: tuple[int | str, ...]) -> type[Any]:
    """Return the section that contains a setting, following directly nested sections."""
    for part in location[:-1]:
        section = None if is_dataclass(model) else model.model_fields.get(str(part))
        if section is None or not hasattr(section.annotation, "model_fields"):
            break
        model = section.annotation
    return model


def _names(model: type[Any]) -> list[str]:
    return [field.name for field in fields(model)] if is_dataclass(model) else list(model.model_fields)


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99]}…"
