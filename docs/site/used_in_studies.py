"""Examples: what the studies that come with the code say of a noun or a section."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from ptychosuite.registry.lookup import GROUPS
from ruamel.yaml import YAML

STUDIES = Path(__file__).parents[2] / "studies"
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


def example(group: str, name: str) -> str:
    """YAML of ``name`` in the study that says most of it, with its file; empty where none has it."""
    found = list(_sections(name) if group == "sections" else _nouns(group, name))
    if not found:
        return ""
    file, key, value = max(found, key=lambda each: len(each[2]))
    text = _yaml({key: [value] if key == "figures" else value})
    return f"```yaml\n{text}```\n\nFrom [studies/{file}](../../studies/{file})."


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
def _studies() -> dict[str, dict[str, Any]]:
    """File below studies/ -> what it says."""
    files = sorted(STUDIES.rglob("*.yaml"), key=lambda file: (len(file.parts), file))
    read = {str(file.relative_to(STUDIES)): YAML(typ="safe").load(file) for file in files}
    return {file: study for file, study in read.items() if "study" in study}


def _yaml(value: dict[str, Any]) -> str:
    """Block style, small mappings and lists in one line."""
    yaml, out = YAML(typ="safe", pure=True), StringIO()
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False
    yaml.width = SHORT
    yaml.dump(value, out)
    return out.getvalue()
