"""Tables of settings, from JSON Schema to Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from used_in_studies import example_of_field

FROM_THE_LEFT = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
NUMBERS = {"integer": "whole number", "number": "number"}
SWITCH = "`on` or `off`"
ENTITIES = {ord(mark): f"&#{ord(mark)};" for mark in "*<[]\\"}
EMPTY: Mapping[str, str] = {}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_in_cell(cell) for cell in line)} |" for line in lines)


def stacked(markdown: str) -> str:
    """A table whose cells stand below each other where the screen is narrow."""
    return f'<div class="stacked" markdown>\n\n{markdown}\n\n</div>'


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def prose(text: str) -> str:
    """Plain text as Markdown: only what stands between backticks is marked."""
    pieces = text.split("`")
    pieces[::2] = [piece.translate(ENTITIES) for piece in pieces[::2]]
    return "`".join(pieces)


def field_table(
    schema: Mapping[str, Any], named: Mapping[str, str] = EMPTY, group: str = "", noun: str = ""
) -> str:
    """The fields of a JSON object, but for those that say its kind; what fields take may be ``named``.

    Each has an example, from studies that have this ``noun`` of a ``group`` where there are any.
    """
    rows = [
        (
            code(name),
            named.get(name) or takes(field),
            default_of(name, field, schema),
            _with_example(prose(field.get("description", "")), example_of_field(name, field, group, noun)),
        )
        for name, field in schema["properties"].items()
        if "const" not in field
    ]
    if not rows:
        return "It has no settings."
    return stacked(table(("field", "takes", "default", "meaning"), rows))


def _with_example(meaning: str, example: str) -> str:
    return f"{meaning} As in {code(example)}." if example else meaning


def default_of(name: str, field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What stands where a study says nothing."""
    if name in schema.get("required", ()):
        return "required"
    if "default" not in field:
        return ""
    if field.get("enum", [])[:2] == [True, False]:
        return code("on" if field["default"] else "off")
    return code(json.dumps(field["default"], ensure_ascii=False).strip('"'))


def takes(schema: Mapping[str, Any]) -> str:
    """In words, which values a schema admits."""
    if alternatives := schema.get("anyOf", schema.get("oneOf")):
        return ", or ".join(dict.fromkeys(filter(None, map(takes, alternatives))))
    if "const" in schema:
        return code(schema["const"])
    if "enum" in schema:
        return _one_of(schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        return _list(schema)
    if kind in NUMBERS:
        bounds = [f"{sign} {schema[name]:g}" for name, sign in FROM_THE_LEFT.items() if name in schema]
        return " ".join([NUMBERS[kind], ", ".join(bounds)]).strip()
    if "pattern" in schema and ":" in schema["pattern"]:
        return "`package.module:Class`"
    words = {"string": "text", "null": "`null`", "boolean": SWITCH, "object": "settings"}
    return words.get(kind, "anything") if isinstance(kind, str) else "anything"


def _one_of(values: Sequence[Any]) -> str:
    if values[:2] == [True, False]:
        names = [value for value in values if value not in (True, False, "on", "off", "yes", "no", None)]
        return ", ".join([SWITCH, *map(code, names)])
    return ", ".join(code(value) for value in values)


def _list(schema: Mapping[str, Any]) -> str:
    items = takes(schema.get("items", {}))
    if (length := schema.get("minItems", 0)) and length == schema.get("maxItems"):
        return f"list of {length}: {items}"
    return f"list: {items}" if items != "anything" else "list"


def _in_cell(text: str) -> str:
    pieces = " ".join(text.split()).split("`")  # code is taken as it is
    pieces[::2] = [piece.replace("|", "&#124;") for piece in pieces[::2]]
    return "`".join(pieces)
