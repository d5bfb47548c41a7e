"""Examples: what the studies that come along, and the pages, say of a noun, a section, a field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from ptychosuite.registry.lookup import GROUPS
from ruamel.yaml import YAML

STUDIES = Path(__file__).parents[2] / "studies"
DOCS = Path(__file__).parents[1]
OTHERS = Path(__file__).with_name("examples.yaml")  # of fields that no study and no page says
NAMED_BY = {"problems": "kind", "solvers": "name"}  # the others by their kind, below these keys
BELOW = {
    "objects": ("object", "start_object"),
    "probes": ("probe", "start_probe"),
    "scans": ("scan", "start_positions"),
    "operators": ("fast_forward",),
    "solvers": ("solver",),
    "figures": ("figures",),
    "problems": ("problem",),
}
SHORT = 100  # letters of a line
SHORT_VALUE = 60  # letters of a field's example
SWITCH = {True: "on", False: "off"}


def example(group: str, name: str) -> str:
    """YAML of ``name`` in the study that says most of it, with its file; empty where none has it."""
    found = list(_sections(name) if group == "sections" else _nouns(group, name))
    if not found:
        return ""
    file, key, value = max(found, key=lambda each: len(each[2]))
    text = _yaml({key: [value] if key == "figures" else value})
    return f"```yaml\n{text}```\n\nFrom [studies/{file}](../../studies/{file})."


def example_of_field(name: str, schema: Mapping[str, Any], group: str = "", noun: str = "") -> str:
    """A line of YAML that gives a field a value other than its default.

    That of a noun of its kind where one has it, else another's. Empty where nothing short is known that
    ``schema`` admits.
    """
    own = [value.get(name) for _, _, value in _nouns(group, noun)] if noun else []
    valid = Draft202012Validator(schema)
    for value in (*own, *_by_field().get(name, ()), _others().get(name)):
        for each in (value, *(value if isinstance(value, list) else ())):  # an axis lists values
            if each is None or each == schema.get("default") or not valid.is_valid(each):
                continue
            text = f"{name}: {SWITCH[each]}" if isinstance(each, bool) else _line(name, each)
            if "\n" not in text and len(text) <= SHORT_VALUE:
                return text
    return ""


def _sections(name: str) -> Iterator[tuple[str, str, Any]]:
    for file, study in _studies().items():
        if study.get(name):
            yield file, name, study[name]


def _nouns(group: str, name: str) -> Iterator[tuple[str, str, Any]]:
    for file, study in _studies().items():
        for key, value in _walk(study):
            if key in BELOW[group] and isinstance(value, dict) and value.get(GROUPS[group].key) == name:
                yield file, key, value


def _walk(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below ``value`` with the last name of its dotted path; items have that of their list."""
    yield key, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _walk(inner, str(name).rsplit(".", 1)[-1])
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, key)


@cache
def _by_field() -> dict[str, list[Any]]:
    """Last name of a dotted path -> what studies and pages give it."""
    found: dict[str, list[Any]] = {}
    for text in (*_studies().values(), *_blocks()):
        for key, value in _walk(text):
            found.setdefault(key, []).append(value)
    return found


def _blocks() -> Iterator[Any]:
    """The blocks of YAML on the pages."""
    for page in sorted(DOCS.glob("*.md")):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            yield YAML(typ="safe").load(block)


@cache
def _others() -> dict[str, Any]:
    """Field -> an example written for the reference."""
    found: dict[str, Any] = YAML(typ="safe").load(OTHERS)
    return found


@cache
def _studies() -> dict[str, dict[str, Any]]:
    """File below studies/ -> what it says."""
    files = sorted(STUDIES.rglob("*.yaml"), key=lambda file: (len(file.parts), file))
    read = {str(file.relative_to(STUDIES)): YAML(typ="safe").load(file) for file in files}
    return {file: study for file, study in read.items() if "study" in study}


def _line(name: str, value: Any) -> str:
    text = _yaml({name: value}).strip()
    return text if isinstance(value, dict | list) else text.removeprefix("{").removesuffix("}")


def _yaml(value: dict[str, Any]) -> str:
    """Block style, small mappings and lists in one line."""
    yaml, out = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = SHORT
    yaml.dump(value, out)
    return out.getvalue()
