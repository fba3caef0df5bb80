"""The command line as Markdown, made from the commands themselves: usage, arguments, options, exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer
import typer.main
from component_catalogue import table

from evergreen.cli.main import app

VALUES = {"str": "TEXT", "text": "TEXT", "int": "NUMBER", "integer": "NUMBER", "float": "NUMBER"}
"""What stands for a value of a type, where an option names none."""


def commands() -> Iterator[tuple[str, Any]]:
    """Yield every command by its full name, such as ``schedule create``, the shortest names first in their groups."""
    yield from _below("", typer.main.get_group(app))


def _below(prefix: str, group: Any) -> Iterator[tuple[str, Any]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from _below(f"{prefix}{name} ", command)
        else:
            yield f"{prefix}{name}", command


def options_of(command: Any) -> list[Any]:
    """Return the options of a command, without ``--help``."""
    return [parameter for parameter in command.params if parameter.param_type_name == "option" and parameter.name != "help"]


def command_page() -> str:
    """Return the reference of the command line."""
    introduction = (
        "# Command line\n\n"
        "`evergreen COMMAND --help` prints the same. A user's mistake is one line on standard error and exit status 2, and changes nothing.\n\n"
        "Commands that read a registry or a ledger look at the local ones below `.evergreen/` unless `--tracking-uri` and `--ledger-uri` name others.\n"
    )
    return "\n".join([introduction, *(_section(name, command) for name, command in commands())])


def _section(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    usage = " ".join(["evergreen", name, *(_placeholder(argument) for argument in arguments), "[OPTIONS]" if options_of(command) else ""]).strip()
    parts = [f"## evergreen {name}\n", f"```text\n{usage}\n```\n", f"{_paragraphs(command.help)}\n"]
    if arguments:
        rows = [(f"`{argument.metavar or argument.name.upper()}`", _default(argument), argument.help or "") for argument in arguments]
        parts.append(table(("argument", "default", "meaning"), rows) + "\n")
    if options_of(command):
        parts.append(table(("option", "default", "meaning"), [(_spelled(option), _default(option), _help(option)) for option in options_of(command)]) + "\n")
    return "\n".join(parts)


def _placeholder(argument: Any) -> str:
    name = (argument.metavar or argument.name.upper()).strip("[]{}")
    return name if argument.required else f"[{name}]"


def _spelled(option: Any) -> str:
    names = [*option.opts, *option.secondary_opts]
    if option.is_flag:
        return ", ".join(f"`{name}`" for name in names)
    value = option.metavar or VALUES.get(option.type.name.split()[0], option.type.name.upper())
    return ", ".join(f"`{name} {value}`" for name in names)


def _help(option: Any) -> str:
    text = option.help or ""
    return f"{text} May be given more than once." if option.multiple and "more than once" not in text else text


def _default(parameter: Any) -> str:
    if parameter.required:
        return "**required**"
    default = parameter.default
    if default is None or isinstance(default, bool) or callable(default) or default in ("", ()):
        return "given" if default is True else ""
    return f"`{default}`"


def _paragraphs(text: str | None) -> str:
    paragraphs = [" ".join(paragraph.split()) for paragraph in re.split(r"\n\s*\n", text or "")]
    return "\n\n".join(paragraph.replace("\f", "") for paragraph in paragraphs).replace("``", "`")
