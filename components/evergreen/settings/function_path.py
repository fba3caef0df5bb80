"""User-defined functions, given by name as ``module:function``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from evergreen.errors import EvergreenError


def is_function_path(name: str) -> bool:
    """Return whether a name has the form ``module:function``."""
    return ":" in name


def import_function(path: str, *, thing: str, error_class: type[EvergreenError]) -> Callable[..., Any]:
    """Import a function.

    Args:
        path: ``module:function``.
        thing: What the function is, for the error message.
        error_class: The exception type to raise.

    Raises:
        EvergreenError: The module cannot be imported, or has no such function.
    """
    module_name, _, name = path.partition(":")
    try:
        module = import_module(module_name)
    # Importing runs the module's code, which may raise any exception.
    except Exception as error:
        raise error_class(
            f"{thing} {path!r}: module {module_name!r} cannot be imported: {error}. Check the path, or install the package in the image."
        ) from error
    function = getattr(module, name, None)
    if not callable(function):
        what = "has no function" if function is None else f"defines an object of type {type(function).__name__}, not a function, as"
        raise error_class(f"{thing} {path!r}: module {module_name!r} {what} {name!r}. Write module:function.")
    found: Callable[..., Any] = function
    return found
