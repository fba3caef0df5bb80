"""Settings that a person gives in one text parameter: in line, or as the place of a file."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from evergreen.errors import EvergreenError, StateError
from evergreen.object_store import open_store
from evergreen.state import is_nothing

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(value: str, model: type[Settings], *, parameter: str, error: type[EvergreenError]) -> Settings:
    """Read settings and check them.

    Args:
        value: ``default``, YAML or JSON in line, or the path or ``gs://`` URI of a YAML or JSON file.
        model: What the settings must look like. It refuses keys that it does not know.
        parameter: Name of the parameter, for the error's message.
        error: The room's error.

    Returns:
        The settings; what was not given has its default.

    Raises:
        EvergreenError: Of the type ``error``; it names the setting, its value and what was expected.
    """
    import yaml

    if is_nothing(value) or value.strip() == "default":
        return model()
    try:
        content = yaml.safe_load(value)
        if isinstance(content, str):
            content = yaml.safe_load(_file_content(content.strip(), parameter=parameter, error=error))
    except yaml.YAMLError as problem:
        raise error(
            f"{parameter} {_shortened(value)!r} is neither YAML nor JSON: {problem}. Give a mapping such as {{name: value}}, or the file's place."
        ) from problem
    if not isinstance(content, dict):
        raise error(f"{parameter} {_shortened(value)!r} holds {type(content).__name__}: expected a mapping of settings to values, such as {{name: value}}.")
    try:
        return model.model_validate(content)
    except ValidationError as problem:
        raise error(f"{parameter}: " + " ".join(_sentence(detail, model) for detail in problem.errors())) from problem


def _file_content(location: str, *, parameter: str, error: type[EvergreenError]) -> str:
    folder, _, name = location.rpartition("/")
    try:
        content = open_store(folder or ("/" if location.startswith("/") else ".")).read(name) if name else None
    except StateError as problem:
        raise error(f"{parameter} {_shortened(location)!r}: expected settings in line, a path, or gs://bucket/object. {problem}") from problem
    except (OSError, UnicodeError) as problem:
        raise error(f"{parameter} {_shortened(location)!r} cannot be read: {problem}. Check the path.") from problem
    if content is None:
        raise error(
            f"{parameter} {_shortened(location)!r}: there is no such file {PurePosixPath(name).name!r}. Write 'default', settings in line, or the right place."
        )
    try:
        return content.decode()
    except UnicodeDecodeError as problem:
        raise error(f"{parameter} {_shortened(location)!r} is not text in UTF-8: {problem}. Save the file as UTF-8.") from problem


def _sentence(detail: ErrorDetails, model: type[BaseModel]) -> str:
    name = ".".join(str(part) for part in detail["loc"]) or "the whole"
    if detail["type"] == "extra_forbidden":
        return f"{name!r} is no setting; the settings are {', '.join(_holder(model, detail['loc']).model_fields)}. Correct the name or leave it out."
    return f"{name} is {detail['input']!r}: {detail['msg']}. Correct the value, or leave it out for the default."


def _holder(model: type[BaseModel], location: tuple[int | str, ...]) -> type[BaseModel]:
    """Return the section that a setting was given in, as far as sections are nested directly."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            break
        model = field.annotation
    return model


def _shortened(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:99]}…"
