"""The JSON Schema of study files: completion and checks in editors.

It is made from the same dataclasses that check a study when it is read; their docstrings are its
descriptions. What needs two values at once (a probe larger than its object, levels deeper than the probe)
only the reader can tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptychosuite.fastforward.training_file import Training
from ptychosuite.problems.problem_kind import DEFAULT_KIND, STARTS, OfEveryProblem, ProblemKind
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import FOUND, settings_model
from ptychosuite.study.meanings import meanings, summary
from ptychosuite.study.published import Entry, Item
from ptychosuite.study.schema import RUN_FIELDS, RunFields, Stop
from ptychosuite.study.study_file import tolerance_fields
from ptychosuite.study.tuning import SEEDS, Tune

DOTTED = "^(" + "|".join(RUN_FIELDS) + r")(\.[a-z_0-9]+)*$"

CLASS = {"type": "string", "pattern": f"^{registry.CLASS_PATH.pattern}$"}
SWITCH = [True, False, "on", "off", "yes", "no"]

SECTIONS = {  # what those that have no class of their own mean
    "study": "Name of the study, and of its folders: results/NAME and reports/NAME.",
    "title": "Stands above the report; by default the name.",
    "problem": "What is reconstructed: a simulation, or a file of measured data.",
    "solver": "What reconstructs it: a name, a name with settings, or a list of stages.",
    "fast_forward": "Off, on (a trained network), the kind of an operator, or a kind with settings.",
    "axes": "Dotted path -> its values; every combination is a run.",
    "zip": "Groups of axes that advance together.",
    "exclude": "Combinations to leave out: dotted paths with the values that a run must have.",
    "include": "Single runs beside the combinations: dotted paths with their values.",
    "sample": "How many of the combinations are drawn, always the same ones; all by default.",
    "check": "What the check against a baseline allows.",
    "tolerance": "By metric, the relative change that is allowed, or one for each dtype.",
    "figures": "What the report shows, each by its kind with settings.",
    "object": "What is illuminated.",
    "probe": "What illuminates it.",
    "scan": "Where the probe is put.",
    "start_object": "What the object begins as, instead of ones; `run` takes what another study has found.",
    "start_probe": "What the probe begins as, where it is not the known one.",
    "start_positions": "Positions that solvers are told, instead of those of the scan.",
    "published": "Values that others have published, beside which the report sets ours.",
}


def study_schema() -> dict[str, Any]:
    """The schema as plain data (JSON Schema, draft 2020-12)."""
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
    schema: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ptychosuite study",
        "type": "object",
        "required": ["study"],
        "additionalProperties": False,
        "properties": {
            "study": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]*$"},
            "title": {"type": "string"},
            **_run_fields(),
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
    _describe(schema, meanings(RunFields) | SECTIONS)
    _describe(schema["properties"]["check"], SECTIONS)
    return schema


def _run_fields() -> dict[str, Any]:
    """What one run may say."""
    single = _object(RunFields)["properties"]
    metric = {"oneOf": [{"enum": sorted(registry.names("metrics"))}, CLASS]}
    return {
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
    return _describe(schema, meanings(Tune))


def _published() -> dict[str, Any]:
    """A published value, or a table of such; metrics by the names of their values."""
    schema = _object(Entry)
    schema["properties"] |= {"values": {"type": "array", "items": _object(Item)}}
    return _describe(schema, meanings(Entry))


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
    nouns = {name: SECTIONS[name] for name in (*cls.parts, *STARTS) if name in SECTIONS}
    groups = {name: summary(group) for name, group in cls.groups.items()}
    return _describe(schema, meanings(cls) | nouns | groups)


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
    named = {
        **CLASS,
        "description": "A class of another package, as `package.module:Class`; it has its own settings.",
    }
    return {"type": "object", "properties": {key: named}, "required": [key]}


def _object(cls: Any) -> dict[str, Any]:
    schema = settings_model(cls).model_json_schema()
    properties = {
        name: {"enum": SWITCH} if value.get("type") == "boolean" else value
        for name, value in schema["properties"].items()
        if not name.endswith("_sha256") and name not in FOUND
    }
    own = {} if cls is tolerance_fields() else {"description": summary(cls)}
    return _describe(schema | {"properties": properties} | own, meanings(cls))


def _describe(schema: dict[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
    """``schema``, each of whose properties says what it means, where that is ``told``."""
    for name, value in schema["properties"].items():
        if name in told:
            schema["properties"][name] = {**value, "description": told[name]}
    return schema


def _with_key(schema: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    return schema | {
        "properties": {key: {"const": name}, **schema["properties"]},
        "required": [key, *schema.get("required", [])],
    }


def _single_key(key: str, value: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {key: value}, "required": [key], "additionalProperties": False}
