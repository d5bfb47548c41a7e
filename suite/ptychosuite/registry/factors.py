"""Short names of the quantities a study varies.

A factor is known by the last part of its dotted path where that is unique ("noise", "overlap"), by
more of it where it is not; ``solver.name`` is "solver" and ``problem.scan.kind`` is "scan", the first stage's
``solver.stages.0.alpha`` is "stage_1_alpha".
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import PurePath
from typing import Any

from ptychosuite.core.jumps import Schedule
from ptychosuite.core.plan import Plan
from ptychosuite.core.stages import parts_of, short
from ptychosuite.registry.lookup import names, solver_label

SAME_NUMBER = 1e-9  # relative
SWITCHES = {"on": True, "off": False, "true": True, "false": False, "yes": True, "no": False}
NOTHING = ("none", "null", "off", "")
"""How a setting may be asked for that a run does not have."""

OWN = frozenset(
    """
    run iteration run_id spec_id status path start lane code n_iterations row runs line panel met_tolerance
    """.split()
)
"""Names that the dataset and the tables made of it use themselves, beside those of the metrics."""


def is_own(name: str) -> bool:
    """Whether ``name`` is one of the dataset's own: of a column, a metric's curve, a figure of the jumps."""
    metric, curve, _ = name.partition("_curve")
    return name in OWN or name.startswith("ff_") or (bool(curve) and metric in names("metrics"))


def is_hash(path: str) -> bool:
    """Whether a setting was found, not given: a file's hash, the id of the run that another begins from."""
    return path.endswith(("_sha256", ".run_id", ".began_with"))


def factor_names(paths: Iterable[str]) -> dict[str, str]:
    """Dotted path -> short name, unique among ``paths`` and none of the dataset's own names.

    A part that some runs leave out (``problem.start_probe: null``) has no name beside that of its kind.
    """
    known = dict.fromkeys(paths)
    parts = {path: _significant(path) for path in known if f"{path}.kind" not in known}
    short = {path: tail[-1] for path, tail in parts.items()}
    depth = 1
    while True:
        counts = Counter(short.values())
        clashing = [
            path
            for path, name in short.items()
            if (counts[name] > 1 or is_own(name) or name in names("metrics")) and len(parts[path]) > depth
        ]
        if not clashing:
            return short
        depth += 1
        for path in clashing:
            short[path] = "_".join(parts[path][-depth:])


def called(paths: Iterable[str]) -> dict[str, str]:
    """All that settings may be called by -> their dotted paths: by the path, or by the end of it."""
    paths = list(paths)
    short = {name: path for path, name in factor_names(paths).items()}
    parts = {path.rpartition(".")[0]: path for path in paths if path.endswith((".name", ".kind"))}
    return {**parts, **short, **{path: path for path in paths}}


def factor_value(leaves: Mapping[str, Any], path: str) -> Any:
    """The value of factor ``path`` in a run's leaves; None where the run has no such setting."""
    if path == "fast_forward":
        return fast_forward_label(leaves)
    return leaves.get(path)


def value_in_words(value: Any) -> str:
    """A value as tables show it; numbers with six digits."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def is_value(found: Any, wanted: Any) -> bool:
    """Whether a run's value is the one that is asked for, however that is written.

    What tables show of a value is one way to write it: numbers of six digits, an overlap in per cent, "True",
    a solver by its label. So are numbers as text, "on" and "off" for switches, and for what a run does not
    have null, "none" and "off".
    """
    if found is None or found == "" or found != found:
        return wanted is None or wanted is False or (isinstance(wanted, str) and wanted.lower() in NOTHING)
    if isinstance(found, bool) or isinstance(wanted, bool):
        return _as_switch(found) is _as_switch(wanted) is not None
    if isinstance(found, int | float):
        return _is_number(found, wanted)
    if isinstance(found, str):
        return found == value_in_words(wanted) or _is_label(found, wanted)
    return bool(found == wanted)


def _is_number(found: float, wanted: Any) -> bool:
    if isinstance(wanted, str):
        text, is_share = wanted.strip().removesuffix("%").strip(), wanted.strip().endswith("%")
        try:
            wanted = float(text) / (100 if is_share else 1)
        except ValueError:
            return False
    if not isinstance(wanted, int | float):
        return False
    shown = isinstance(found, float) and wanted == float(value_in_words(found))
    return shown or math.isclose(found, wanted, rel_tol=SAME_NUMBER)


def _as_switch(value: Any) -> bool | None:
    """A switch that is on or off, also in words; None where it is none."""
    return (
        value if isinstance(value, bool) else SWITCHES.get(value.lower()) if isinstance(value, str) else None
    )


def _is_label(found: str, wanted: Any) -> bool:
    """Whether text is what figures call a solver of the name ``found``."""
    is_solver = all(stage in names("solvers") for stage, *_ in parts_of(found))
    return isinstance(wanted, str) and is_solver and wanted == solver_label(found)


def settings_of_runs(plan: Plan) -> dict[str, list[Any]]:
    """Dotted path of each factor -> its value in each run of ``plan``, in order."""
    leaves = [run.leaves() for run in plan.runs]
    return {path: [factor_value(run, path) for run in leaves] for path in plan.factors}


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether all values are numbers or missing (None)."""
    return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)


def fast_forward_as_one(leaves: Mapping[str, Any]) -> Mapping[str, Any]:
    """``leaves`` with the fast-forward settings as one; None where it is off."""
    if "fast_forward" in leaves:  # off: one already
        return leaves
    rest = {path: value for path, value in leaves.items() if not path.startswith("fast_forward.")}
    return rest | {"fast_forward": fast_forward_label(leaves)}


def fast_forward_label(leaves: Mapping[str, Any]) -> str:
    """Fast-forward settings in a few words, "network at 50, 70"; empty where it is off.

    The kind, its own settings, the iterations of the jumps, and what else differs from its default.
    """
    prefix = "fast_forward."
    settings = {path.removeprefix(prefix): v for path, v in leaves.items() if path.startswith(prefix)}
    if not settings:
        return ""
    kind = settings.pop("kind", "network")
    checkpoint, sha256 = settings.pop("checkpoint", "default"), settings.pop("checkpoint_sha256", "")
    name = kind if checkpoint == "default" else f"{kind} {PurePath(checkpoint).stem}-{sha256[:4]}"
    scheduled = {f.name: settings.pop(f.name, f.default) for f in fields(Schedule)}
    schedule = Schedule(**scheduled)
    own = [f"{name} {_in_words(value)}" for name, value in sorted(settings.items())]
    changed = [
        f"{f.name.replace('_', '-')} {_in_words(scheduled[f.name])}"
        for f in fields(Schedule)
        if f.name not in ("warm_up", "jumps", "spacing") and scheduled[f.name] != f.default
    ]
    at = "at " + ", ".join(str(iteration) for iteration in schedule.jumps_after)
    return ", ".join([" ".join([name, *own, at]), *changed])


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _significant(path: str) -> tuple[str, ...]:
    parts = short(path.split("."))
    return parts[:-1] if parts[-1] in ("name", "kind") and len(parts) > 1 else parts
