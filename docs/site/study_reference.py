"""The study file and its nouns, from the JSON Schema of study files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ptychosuite
from field_tables import code, default_of, field_table, prose, table
from ptychosuite.registry.fingerprint import PARTS
from ptychosuite.registry.lookup import class_of
from ptychosuite.study.meanings import plain
from used_in_studies import example

NOUNS = {  # group -> title, and what a study says to have one
    "solvers": ("Solvers", "A list of solvers is one run in [stages](../starts.md#stages)."),
    "objects": ("Objects", "What is reconstructed, in a simulation or to start from."),
    "probes": ("Probes", "What illuminates it, in a simulation or to start from."),
    "scans": ("Scans", "Where the probe is put; positions are in pixels, those of patches' first corners."),
    "operators": (
        "Fast-forward operators",
        "What carries a reconstruction ahead: [Fast-forward](../fast-forward.md).",
    ),
    "figures": (
        "Figures",
        "What a report shows, each a mapping in the list `figures`: [Reports](../reports.md).",
    ),
}
NOUN_FIELDS = {name: f"one of the [{group}]({group}.md)" for name, group in PARTS.items()}
SECTIONS = ("stop", "tune", "train", "check", "published")


def study_page() -> str:
    """The fields of a study file, section by section."""
    schema = ptychosuite.schema()
    fields = schema["properties"]
    top = [
        (_linked(name), default_of(name, told, schema), prose(told["description"]))
        for name, told in fields.items()
    ]
    parts = [
        "# Study file",
        "All that a study file may say. `ptychosuite schema > study.schema.json` prints the same as a JSON "
        "Schema, with which an editor completes and checks what is written; any field of a run, by its "
        "dotted path, may be an axis. A first study is written in the [tutorial](../tutorial.md).",
        table(("field", "default", "meaning"), top),
        *_problems(fields["problem"]),
        *(text for name in SECTIONS for text in _section(name, fields[name])),
        *_axes(),
    ]
    return "\n\n".join(parts) + "\n"


def noun_pages() -> dict[str, str]:
    """Group -> its page."""
    fields = ptychosuite.schema()["properties"]
    simulated = _choices(fields["problem"])["simulated"]["properties"]
    where = {
        "solvers": fields["solver"],
        "operators": fields["fast_forward"],
        "figures": fields["figures"]["items"],
        "objects": simulated["object"],
        "probes": simulated["probe"],
        "scans": simulated["scan"],
    }
    pages = {group: _noun_page(group, *told, where[group]) for group, told in NOUNS.items()}
    return pages | {"formats": _formats_page()}


def _noun_page(group: str, title: str, about: str, schema: Mapping[str, Any]) -> str:
    own = "One of your own is a class in another package: [Plug-ins](../plug-ins.md)."
    parts = [f"# {title}", f"{about} {own}"]
    kinds = _choices(schema)
    for name, kind in kinds.items():
        own = vars(class_of(group, name)).get("__annotations__", ())
        fields = dict(
            sorted(kind["properties"].items(), key=lambda field: field[0] not in own)
        )  # these first
        parts += [f"## {name}", prose(kind.get("description", "")), example(group, name)]
        parts.append(field_table({**kind, "properties": fields}, group=group, noun=name))
    return "\n\n".join(filter(None, parts)) + "\n"


def _formats_page() -> str:
    rows = [
        (code(name), prose(plain(told["summary"]))) for name, told in ptychosuite.available("formats").items()
    ]
    return f"""# Formats of data

Files of measurements that `problem: {{kind: file, path: ...}}` reads. What a file is, it says itself;
`format` names it where several would do. Settings that say how to read one are in
[Measured data](../data.md).

{table(("format", "what it is"), rows)}
"""


def _problems(schema: Mapping[str, Any]) -> Iterator[str]:
    for kind, told in _choices(schema).items():
        yield f"## problem: {kind}"
        yield prose(told["description"])
        yield example("problems", kind)
        plain = {name: field for name, field in told["properties"].items() if not _groups(field)}
        yield field_table({**told, "properties": plain}, NOUN_FIELDS, "problems", kind)
        for name, field in told["properties"].items():
            for group in _groups(field):
                yield f"### {name}"
                yield prose(group.get("description", ""))
                yield field_table(group)


def _groups(field: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The group of plain settings that a field is; none where it is a value or a noun."""
    alternatives = field.get("oneOf", [])
    if {"type": "null"} not in alternatives:
        return []
    return [each for each in alternatives if "properties" in each]


def _section(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    inner = schema.get("items", schema)
    yield prose(inner.get("description") or schema["description"])
    yield example("sections", name)
    yield field_table(inner)
    for within, field in inner["properties"].items():
        if "properties" in field.get("items", {}):
            yield f"### {within}"
            yield field_table(field["items"])


def _axes() -> Iterator[str]:
    yield "## axes, zip, include, exclude"
    yield (
        "Axes are dotted paths of a run's fields (`problem.noise`, `solver.levels`, `seed`), each with a "
        "list of values or one of these mappings:"
    )
    rows = [
        ("`{range: 5}`, `{range: [2, 10, 2]}`", "as Python's: 0 to 4; 2, 4, 6, 8"),
        ("`{linspace: [0, 1, 5]}`", "from, to, how many: 0, 0.25, 0.5, 0.75, 1"),
        ("`{geomspace: [0.01, 1, 3]}`", "from, to, how many, at equal ratios: 0.01, 0.1, 1"),
    ]
    yield table(("written", "values"), rows)
    yield example("sections", "axes")


def _linked(name: str) -> str:
    """A field with the place that says all about it."""
    places = {
        "solver": "solvers.md",
        "fast_forward": "operators.md",
        "figures": "figures.md",
        "metrics": "metrics.md",
    }
    places |= {"problem": "#problem-simulated"} | {section: f"#{section}" for section in SECTIONS}
    places |= dict.fromkeys(("axes", "zip", "include", "exclude"), "#axes-zip-include-exclude")
    return f"[`{name}`]({places[name]})" if name in places else code(name)


def _choices(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Kind -> its schema."""
    found = {}
    for each in schema.get("oneOf", ()):
        for key in ("kind", "name"):
            if "const" in each.get("properties", {}).get(key, {}):
                found[each["properties"][key]["const"]] = each
    return found
