"""Tables of settings as Markdown, made from the models that read them: key, type, default and meaning."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any

import docstring_parser
from component_catalogue import table
from pydantic import TypeAdapter

JsonSchema = dict[str, Any]

WORDS = {"string": "text", "boolean": "true or false", "integer": "whole number", "array": "list", "object": "mapping"}


def settings_page(title: str, introduction: str, model: type, *, example: str = "") -> str:
    """Return the page of a file of settings: its own keys, then those of each section below it."""
    schema = TypeAdapter(model).json_schema()
    definitions: dict[str, JsonSchema] = schema.get("$defs", {})
    sections = _sections(schema, definitions)
    parts = [f"# {title}\n\n{introduction}\n"]
    if example:
        parts.append(f"## Everything at its default\n\n```yaml\n{example}```\n")
    parts.append(f"## Keys of the file\n\n{_settings_table(schema, definitions)}\n")
    for name, key in sections.items():
        summary, _ = _described(definitions[name].get("description", ""))
        parts.append(f"## {key}\n\n{summary}\n\n{_settings_table(definitions[name], definitions)}\n")
    return "\n".join(parts)


def as_markdown(text: str | None) -> str:
    """Return a docstring's reStructuredText as Markdown, in one line."""
    line = " ".join((text or "").split())
    return re.sub(r":\w+:`([^`]+)`", r"`\1`", line).replace("``", "`")


def _settings_table(schema: JsonSchema, definitions: dict[str, JsonSchema]) -> str:
    _, meanings = _described(schema.get("description", ""))
    required = schema.get("required", [])
    rows = [
        (f"`{key}`", _type_text(value, definitions), "**required**" if key in required else _default_text(value), meanings.get(key, ""))
        for key, value in schema.get("properties", {}).items()
    ]
    return table(("key", "type", "default", "meaning"), rows)


def _described(docstring: str) -> tuple[str, dict[str, str]]:
    """Return the first paragraphs of a docstring, and the meaning of each attribute."""
    parsed = docstring_parser.parse(inspect.cleandoc(docstring), docstring_parser.DocstringStyle.GOOGLE)
    text = " ".join(filter(None, (parsed.short_description, parsed.long_description)))
    return as_markdown(text), {parameter.arg_name: as_markdown(parameter.description) for parameter in parsed.params}


def _sections(schema: JsonSchema, definitions: dict[str, JsonSchema]) -> dict[str, str]:
    """Return the models below a schema in the order in which a reader meets them, each with the key that it stands under first."""
    waiting, found = [schema], dict[str, str]()
    while waiting:
        for key, value in waiting.pop(0).get("properties", {}).items():
            for name in re.findall(r'"#/\$defs/(\w+)"', json.dumps(value)):
                if name not in found and "properties" in definitions[name]:
                    found[name] = definitions[name]["section"] = key
                    waiting.append(definitions[name])
    return found


def _type_text(schema: JsonSchema, definitions: dict[str, JsonSchema]) -> str:
    if "$ref" in schema:
        definition = definitions[schema["$ref"].rpartition("/")[2]]
        return f"[{definition['section']}](#{definition['section']})" if "properties" in definition else _type_text(definition, definitions)
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type_text(one, definitions) for one in schema["anyOf"]))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "items" in schema:
        return f"list of: {_type_text(schema['items'], definitions)}"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"mapping to: {_type_text(schema['additionalProperties'], definitions)}"
    kind = "time" if schema.get("format") == "date-time" else schema.get("type", "any value")
    return WORDS.get(kind, kind) + _bounds_text(schema)


def _bounds_text(schema: JsonSchema) -> str:
    words = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    bounds = [f"{word} {schema[key]:g}" for key, word in words.items() if key in schema]
    return f", {', '.join(bounds)}" if bounds else ""


def _default_text(schema: JsonSchema) -> str:
    if "default" not in schema:
        return "see there" if "$ref" in schema else "empty"
    default = schema["default"]
    if isinstance(default, dict) and default:
        return "see there"
    if default is None or default in ("", [], {}):
        return {"": "", "[]": "empty", "{}": "empty"}.get(json.dumps(default).strip('"'), "`null`")
    if default == schema.get("items", {}).get("enum"):
        return "all"
    return f"`{default if isinstance(default, str) else json.dumps(default, ensure_ascii=False)}`"
