"""Renamed command-line options: old names work for one more release and print a note with the new name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def renamed_options(new_names: Mapping[str, str]) -> type[TyperCommand]:
    """Return a command class that also accepts options by their old names.

    The help shows only the new names. Remove the call one release after the renaming, and this module together with the last call.

    Args:
        new_names: New name of each option by its old name, such as ``{"--target": "--target-column"}``.
    """

    class CommandWithRenamedOptions(TyperCommand):
        """A command that accepts old names of options."""

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            """Parse the arguments after replacing old names."""
            valued = {name for option in self.params if not getattr(option, "is_flag", True) for name in option.opts}
            return super().parse_args(ctx, list(_with_new_names(args, new_names, valued)))

    return CommandWithRenamedOptions


def _with_new_names(args: list[str], new_names: Mapping[str, str], valued: set[str]) -> Iterator[str]:
    """Yield the arguments with new names, and print one note for each old name used.

    Args:
        args: The arguments as typed.
        new_names: New name of each option by its old name.
        valued: Options followed by a value, which may look like an option itself.
    """
    told: set[str] = set()
    is_value = False
    for position, argument in enumerate(args):
        if argument == "--" and not is_value:
            yield from args[position:]
            return
        name, equals, value = argument.partition("=")
        if name in new_names and not is_value:
            if name not in told:
                typer.echo(f"note: option {name} is now {new_names[name]}; the old name works for one more release.", err=True)
                told.add(name)
            name = new_names[name]
            argument = f"{name}{equals}{value}"  # noqa: PLW2901 - the argument under its new name
        is_value = not is_value and not equals and name in valued
        yield argument
