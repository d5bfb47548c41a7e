"""The JSON Schema of study files: completion and checks in editors.

It is made from the same dataclasses that check a study when it is read. What needs two values at once
(a probe larger than its object, levels deeper than the probe) only the reader can tell.
"""

from __future__ import annotations

from typing import Any

from ptychosuite.fastforward.training_file import Training
from ptychosuite.problems.problem_kind import DEFAULT_KIND, STARTS, OfEveryProblem, ProblemKind
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import FOUND, settings_model
from ptychosuite.study.published import Entry, Item
from ptychosuite.study.schema import RUN_FIELDS, RunFields, Stop
from ptychosuite.study.study_file import tolerance_fields
from ptychosuite.study.tuning import SEEDS, Tune

DOTTED = "^(" + "|".join(RUN_FIELDS) + r")(\.[a-z_0-9]+)*$"

CLASS = {"type": "string", "pattern": f"^{registry.CLASS_PATH.pattern}$"}
SWITCH = [True, False, "on", "off", "yes", "no"]


def study_schema() -> dict[str, Any]:
    """The schema as plain data (JSON Schema, draft 2020-12)."""
    single = _object(RunFields)["properties"]
    metric = {"oneOf": [{"enum": sorted(registry.names("metrics"))}, CLASS]}
    fields: dict[str, Any] = {
        "problem": {
            "oneOf": [_problem(kind, cls) for kind, cls in registry.classes("problems").items()]
            + [_by_class("kind")]
        },
        "solver": {
            "oneOf": [
                {"enum": sorted(registry.names("solvers"))},
                CLASS,
                *_choice("solvers", "name")["oneOf"],
                {"type": "array", "minItems": 1, "items": {"type": ["string", "object"]}},
            ]
        },
        "fast_forward": _fast_forward(),
        "stop": _object(Stop),
        **single,
        "metrics": {"oneOf": [metric, {"type": "array", "items": metric}]},
    }
    axis = {
        "oneOf": [
            {"type": "array", "minItems": 1},
            _single_key("range", {"type": ["integer", "array"]}),
            _single_key("linspace", {"type": "array", "minItems": 3, "maxItems": 3}),
            _single_key("geomspace", {"type": "array", "minItems": 3, "maxItems": 3}),
        ]
    }
    axes = {"type": "object", "patternProperties": {DOTTED: axis}, "additionalProperties": False}
    values = {"type": "object", "patternProperties": {DOTTED: {}}, "additionalProperties": False}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ptychosuite study",
        "type": "object",
        "required": ["study"],
        "additionalProperties": False,
        "properties": {
            "study": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
            "title": {"type": "string"},
            **fields,
            "axes": axes,
            "zip": {"type": "array", "items": axes},
            "exclude": {"type": "array", "items": values},
            "include": {"type": "array", "items": values},
            "sample": {"type": "integer", "minimum": 1},
            "tune": _tune(),
            "train": _object(Training),
            "check": {
                "type": "object",
                "additionalProperties": False,
                "properties": {"tolerance": _object(tolerance_fields())},
            },
            "figures": {"type": "array", "items": _choice("figures", "kind")},
            "published": {"type": "array", "items": _published()},
        },
    }


def _tune() -> dict[str, Any]:
    """The section, or off; what tries are drawn from."""
    ends = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
    drawn = {
        "oneOf": [
            {"type": "array", "minItems": 1},
            *(_single_key(k, ends) for k in ("uniform", "loguniform")),
        ]
    }
    ranges = {
        "type": "object",
        "properties": {"where": {"type": "object"}},
        "patternProperties": {DOTTED: drawn},
        "additionalProperties": False,
    }
    schema = _object(Tune)
    on = {"oneOf": [{"const": SEEDS}, {"type": "object"}]}
    schema["properties"] |= {"over": {"oneOf": [ranges, {"type": "array", "items": ranges}]}, "on": on}
    return schema


def _published() -> dict[str, Any]:
    """A published value, or a table of such; metrics by the names of their values."""
    schema = _object(Entry)
    schema["properties"] |= {"values": {"type": "array", "items": _object(Item)}}
    return schema


def _problem(kind: str, cls: type[ProblemKind]) -> dict[str, Any]:
    schema = _with_key(_object(cls), "kind", kind)
    if kind == DEFAULT_KIND:
        schema["required"].remove("kind")
    schema["properties"] |= {part: _choice(group, "kind") for part, group in cls.parts.items()}
    schema["properties"] |= {start: _choice(group, "kind") for start, group in STARTS.items()}
    schema["properties"] |= _object(OfEveryProblem)["properties"]
    schema["properties"] |= {
        name: {"oneOf": [_object(group), {"type": "null"}]} for name, group in cls.groups.items()
    }
    return schema


def _fast_forward() -> dict[str, Any]:
    """Off, on, the kind of an operator, or its settings; a network's kind need not be said."""
    kinds = _choice("operators", "kind")["oneOf"]
    for kind in kinds:
        if kind["properties"]["kind"].get("const") == "network":
            kind["required"].remove("kind")
    return {"oneOf": [{"enum": [*SWITCH, None, *sorted(registry.names("operators"))]}, CLASS, *kinds]}


def _choice(group: str, key: str) -> dict[str, Any]:
    """One of the registered classes of ``group``, told apart by ``key``, or one named by its place."""
    known = [_with_key(_object(cls), key, name) for name, cls in registry.classes(group).items()]
    return {"oneOf": [*known, _by_class(key)]}


def _by_class(key: str) -> dict[str, Any]:
    """Settings of a class named as package.module:Class, which only the reader can check."""
    return {"type": "object", "properties": {key: CLASS}, "required": [key]}


def _object(cls: Any) -> dict[str, Any]:
    schema = settings_model(cls).model_json_schema()
    properties = {
        name: {"enum": SWITCH} if value.get("type") == "boolean" else value
        for name, value in schema["properties"].items()
        if not name.endswith("_sha256") and name not in FOUND
    }
    return schema | {"properties": properties}


def _with_key(schema: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    return schema | {
        "properties": {key: {"const": name}, **schema["properties"]},
        "required": [key, *schema.get("required", [])],
    }


def _single_key(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}
