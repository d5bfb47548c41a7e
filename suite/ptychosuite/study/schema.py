"""What a run may be: settings are checked here and completed with their defaults.

The classes that do the work (objects, probes, scans, solvers) declare their own settings as dataclass
fields with constraints; this module finds them by name.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt

from ptychosuite.core.runs import RunSpec, by_identity
from ptychosuite.core.stages import STAGES, solver_name, stages_of
from ptychosuite.errors import UserError, nearest
from ptychosuite.metrics.metric import is_default, metric_named
from ptychosuite.problems.problem_kind import (
    DEFAULT_KIND,
    HOLD_OUT,
    OF_EVERY_PROBLEM,
    START_PROBE,
    STARTS,
    OfEveryProblem,
    Size,
    kind_of,
)
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import is_own
from ptychosuite.registry.validation import Keys, SettingError, as_mapping, refuse_unknown, validate
from ptychosuite.study.inputs import resolved_files
from ptychosuite.study.stages import STAGED, complete_stages, total_iterations
from ptychosuite.study.start_checks import check_starts
from ptychosuite.study.start_runs import resolved_run

JSON = json.JSONEncoder()
LEAST_TO_HALVE = 4  # scan positions: two in each half
RUN_FIELDS = (
    "problem",
    "solver",
    "fast_forward",
    "stop",
    "seed",
    "backend",
    "dtype",
    "half_scans",
    "snapshots",
    "metrics",
)
STUDY_FIELDS = (
    "study",
    "title",
    "axes",
    "zip",
    "exclude",
    "include",
    "sample",
    "figures",
    "published",
    "tune",
    "train",
    "check",
    *RUN_FIELDS,
)
DEFAULTS: Mapping[str, Any] = {
    "problem": {"kind": DEFAULT_KIND},
    "solver": {"name": "rpie"},
    "stop": {},
    "fast_forward": None,
    "seed": 0,
    "backend": "numpy",
    "dtype": "complex64",
    "half_scans": False,
    "snapshots": [],
    "metrics": [],
}
DEFAULT_FIGURES: Sequence[Mapping[str, Any]] = (
    {"kind": "convergence", "metric": "residual"},
    {"kind": "convergence", "metric": "error"},
    {"kind": "images"},
)


@dataclass(frozen=True)
class Stop:
    """When a run ends: at the first rule that is met.

    Parameters
    ----------
    iterations
        Largest number of iterations.
    gradient
        Tolerance on the metric ``gradient_norm``.
    residual
        Tolerance on the metric ``residual``.
    seconds
        Solver time.
    check_every
        Metrics are computed and tolerances checked every n-th iteration. By default (null) at every one
        where a tolerance is set; otherwise at iterations 1, 2, 5, 10 and every 25th, which keeps the
        metrics below a tenth of the cost.
    continue_past_tolerance
        Go on to ``iterations`` when a tolerance is met; the iteration is recorded all the same.
    """

    iterations: Annotated[int, Ge(1)] = 200
    gradient: Annotated[float, Gt(0)] | None = None
    residual: Annotated[float, Gt(0)] | None = None
    seconds: Annotated[float, Gt(0)] | None = None
    check_every: Annotated[int, Ge(1)] | None = None
    continue_past_tolerance: bool = False


@dataclass(frozen=True)
class RunFields:
    """The fields of a run that are single values.

    Parameters
    ----------
    seed
        Noise, scan order and all else that is random come from it; solvers that are compared share it.
    backend
        Array library and device that compute the run.
    dtype
        Precision of object, probe and exit waves.
    half_scans
        Reconstruct two halves of the scan as well, for a Fourier ring correlation without truth.
    snapshots
        Iterations after which object and probe are kept.
    metrics
        What is computed beyond the default ones, each by name or as ``package.module:Class``.
    """

    seed: Annotated[int, Ge(0)] = 0
    backend: Literal["numpy", "torch", "torch-cuda", "cupy"] = "numpy"
    dtype: Literal["complex64", "complex128"] = "complex64"
    half_scans: bool = False
    snapshots: Sequence[Annotated[int, Ge(1)]] = ()
    metrics: Sequence[str] = ()


SINGLE = tuple(f.name for f in dataclasses.fields(RunFields))


class Completion:
    """Checks runs and fills in their defaults; runs with equal parts share them, checked once.

    Parameters
    ----------
    base
        Folder that relative paths count from.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._parts: dict[str, Any] = {}  # JSON of a part as the study gives it -> the part, complete

    def run(self, fields: Mapping[str, Any]) -> RunSpec:
        """Check one run's fields, plain nested data as the study gives it, and fill in every default.

        Raises
        ------
        SettingError
            Unknown key, wrong type or impossible value.
        """
        refuse_unknown(fields, RUN_FIELDS, ())
        problem = self._part("problem", fields["problem"], self._problem)
        solver = self._part("solver", fields["solver"], _complete_solver)
        given_stop, stages = fields["stop"], stages_of(solver)
        stop = self._part("stop", [given_stop, stages], lambda _: _complete_stop(given_stop, stages))
        single = self._part("single", {name: fields[name] for name in SINGLE}, _complete_single)
        fast_forward = self._part("fast_forward", fields["fast_forward"], self._fast_forward)
        size = problem_size(problem)
        self._part(
            "check", [fields["solver"], size.probe_size], lambda _: _check_solver(solver, size.probe_size)
        )
        if single["half_scans"]:
            _check_half_scans(size.n_positions)
        if problem[HOLD_OUT]:
            _check_can_hold_out(solver)
        if fast_forward is not None:
            _check_fast_forward(fast_forward, solver, problem, stop["iterations"])
        run = RunSpec(problem=problem, solver=solver, stop=stop, fast_forward=fast_forward, **single)
        _check_metrics(run)
        return run

    def _part(self, name: str, given: Any, complete: Callable[[Any], Any]) -> Any:
        key = f"{name} {JSON.encode(given)}"
        if key not in self._parts:
            self._parts[key] = complete(given)
        return self._parts[key]

    def _problem(self, given: Any) -> dict[str, Any]:
        return _complete_problem(given, self._base)

    def _fast_forward(self, given: Any) -> dict[str, Any] | None:
        return _complete_fast_forward(given, self._base)


@by_identity
def problem_size(problem: Mapping[str, Any]) -> Size:
    """Sizes of a run's problem."""
    return _problem_size(json.dumps(problem, sort_keys=True))


def complete_figure(settings: Any, path: Keys) -> dict[str, Any]:
    """Check one entry of ``figures`` and fill in its defaults."""
    return _plain(_complete_kind(settings, "figures", "kind", path))


@lru_cache(maxsize=4096)
def _problem_size(text: str) -> Size:
    try:
        return kind_of(json.loads(text)).size()
    except SettingError as error:
        partner = error.partner and ("problem", *error.partner)
        raise SettingError(("problem", *error.path), error.message, partner) from error
    except UserError as error:
        raise SettingError(("problem",), str(error)) from error


def _complete_problem(given: Any, base: Path) -> dict[str, Any]:
    """Settings of a problem and of its parts, complete; every file's path absolute and its hash beside it."""
    problem = {"kind": DEFAULT_KIND, **as_mapping(given, ("problem",))}
    cls = _class_of(problem, "problems", "kind", ("problem",))
    problem |= resolved_files(cls, problem, base, ("problem",))
    given_starts = {start: problem.pop(start, None) for start in STARTS}
    plain = {name: problem.pop(name) for name in OF_EVERY_PROBLEM if name in problem}
    refuse_unknown(problem, ["kind", *(f.name for f in dataclasses.fields(cls))], ("problem",))
    problem = part_defaults(cls) | problem
    for part, group in cls.parts.items():
        if part in problem:
            problem[part] = _complete_part(problem[part], group, base, ("problem", part))
    problem |= {name: _complete_group(group, problem.get(name), name) for name, group in cls.groups.items()}
    _set_aside(cls, problem)
    result = _complete_kind(problem, "problems", "kind", ("problem",))
    starts = {
        start: _complete_part(given_starts[start], group, base, ("problem", start))
        for start, group in STARTS.items()
        if given_starts[start] is not None
    }
    result |= {START_PROBE: None, **starts, **_probe_scale(result, starts.get(START_PROBE))}
    result |= dataclasses.asdict(validate(OfEveryProblem, plain, ("problem",)))
    result = {
        key: value for key, value in result.items() if key not in cls.left_out or value != cls.left_out[key]
    }
    check_starts(result, problem_size(result))
    _check_hold_out(result[HOLD_OUT], problem_size(result).probe_size)
    return _plain(result, sort_keys=True)


def _check_hold_out(share: float, probe_size: int) -> None:
    if 0 < share < 1 / probe_size**2:
        message = f"found {share:g}: of {probe_size} x {probe_size} pixels that is none; say more, or 0"
        raise SettingError(("problem", HOLD_OUT), message)


def _probe_scale(problem: Mapping[str, Any], start_probe: Mapping[str, Any] | None) -> dict[str, str]:
    """A probe that has the power of the data keeps it, where the study does not say otherwise."""
    is_open = "probe_scale" in problem and problem["probe_scale"] is None
    if is_open and start_probe and registry.class_of("probes", start_probe["kind"]).is_calibrated:
        return {"probe_scale": "kept"}
    return {}


def part_defaults(cls: type[Any]) -> dict[str, Any]:
    """What a study need not say of the parts of a problem's class; the caller's own."""
    parts = [f for f in dataclasses.fields(cls) if f.name in cls.parts]
    return {f.name: f.default_factory() for f in parts if f.default_factory is not dataclasses.MISSING}


def _complete_group(cls: type[Any], given: Any, name: str) -> dict[str, Any]:
    """A problem's group of plain settings, complete; null is all defaults."""
    return dataclasses.asdict(validate(cls, {} if given is None else given, ("problem", name)))


def _set_aside(cls: type[Any], problem: dict[str, Any]) -> None:
    """Make null what another setting stands for."""
    for setting, other in cls.instead.items():
        if problem.get(setting) is None:
            continue
        if problem.get(other) is not None:
            message = f"'{other}' is given as well, and one follows from the other; say one of them"
            raise SettingError(("problem", setting), message, partner=("problem", other))
        problem[other] = None


def _complete_part(given: Any, group: str, base: Path, path: Keys) -> dict[str, Any]:
    """Settings of an object, probe or scan; "object: texture" is short for "object: {kind: texture}"."""
    settings = {"kind": given} if isinstance(given, str) else as_mapping(given, path)
    cls = _class_of(settings, group, "kind", path)
    found = resolved_files(cls, settings, base, path) | resolved_run(cls, settings, base, path)
    return _complete_kind(settings | found, group, "kind", path)


def _complete_solver(given: Any) -> dict[str, Any]:
    """Settings of a solver, complete; "solver: rpie" and "solver: [...]" are short for what they mean."""
    path: Keys = ("solver",)
    if isinstance(given, list):
        stages = complete_stages(given, path, _one_solver)
        return _plain({"name": STAGED, STAGES: stages})
    settings: dict[str, Any] = {"name": given} if isinstance(given, str) else as_mapping(given, path)
    for part in _class_of(settings, "solvers", "name", path).parts:
        settings[part] = complete_stages(settings.get(part), (*path, part), _one_solver)
    return _plain(_one_solver(settings, path))


def _one_solver(settings: Any, path: Keys) -> dict[str, Any]:
    return _complete_kind(settings, "solvers", "name", path)


def _plain(data: dict[str, Any], sort_keys: bool = False) -> Any:
    """As it comes back from a file: lists for tuples."""
    return json.loads(json.dumps(data, sort_keys=sort_keys))


def _complete_stop(stop: Any, stages: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    complete = dataclasses.asdict(validate(Stop, stop, ("stop",)))
    if stages:
        complete["iterations"] = total_iterations(stages, stop.get("iterations"), complete["iterations"])
    return complete


def _complete_single(single: Any) -> dict[str, Any]:
    if isinstance(single["metrics"], str):  # one alone
        single = {**single, "metrics": [single["metrics"]]}
    complete = dataclasses.asdict(validate(RunFields, single, ()))
    snapshots = tuple(sorted(set(complete["snapshots"])))
    return complete | {"snapshots": snapshots, "metrics": _complete_metrics(complete["metrics"])}


def _complete_metrics(wanted: Sequence[str]) -> tuple[str, ...]:
    """What is computed beyond the default metrics, each once and in one order."""
    for index, name in enumerate(wanted):
        try:
            metric_named(name)
        except UserError as error:
            raise SettingError(("metrics", index), str(error)) from error
    return tuple(sorted({name for name in wanted if not is_default(name)}))


def _check_metrics(run: RunSpec) -> None:
    """Refuse a metric that has the name of a setting of the run: both would be columns of the results."""
    settings = {part: path for path in run.leaves() for part in path.split(".")} if run.metrics else {}
    for name in (metric_named(wanted).name for wanted in run.metrics):
        if name in settings or is_own(name):
            taken = f"the setting {settings[name]}" if name in settings else "a column of the results"
            raise SettingError(("metrics",), f"the metric '{name}' has the name of {taken}; rename it")


def _check_half_scans(n_positions: int) -> None:
    if n_positions < LEAST_TO_HALVE:
        raise SettingError(
            ("half_scans",),
            f"the scan has {n_positions} position{'s' if n_positions > 1 else ''}; halves of at least two "
            f"positions each take {LEAST_TO_HALVE}. Say 'half_scans: off', or scan more positions",
        )


def _check_solver(solver: Mapping[str, Any], probe_size: int) -> None:
    """Let the solver refuse what it cannot do with patterns of this size."""
    try:
        registry.build("solvers", solver).check(probe_size)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        path = (int(part) if part.isdigit() else part for part in name.split("."))
        raise SettingError(("solver", *path), message) from error


def _check_can_hold_out(solver: Mapping[str, Any]) -> None:
    if not all(part.can_hold_out for part in registry.build("solvers", solver).constituents):
        message = f"'{solver_name(solver)}' has one mask for all patterns and cannot hold pixels out; say 0"
        raise SettingError(("problem", HOLD_OUT), message, partner=("solver",))


def _complete_kind(settings: Any, group: str, key: str, path: Keys) -> dict[str, Any]:
    """Settings of a registered class, complete."""
    settings = as_mapping(settings, path)
    cls = _class_of(settings, group, key, path)
    name = settings.pop(key)
    return {key: name, **dataclasses.asdict(validate(cls, settings, path))}


def _class_of(settings: Mapping[str, Any], group: str, key: str, path: Keys) -> type[Any]:
    if key not in settings:
        raise SettingError(path, f"'{key}' is missing; {nearest('', registry.names(group))}")
    try:
        return registry.class_of(group, str(settings[key]))
    except UserError as error:
        raise SettingError((*path, key), str(error)) from error


def _complete_fast_forward(value: Any, base: Path) -> dict[str, Any] | None:
    """Settings of the operator, complete; a trained network where its kind is not said."""
    path: Keys = ("fast_forward",)
    if value is None or value is False:
        return None
    if value is True or isinstance(value, str):  # "on", or a kind alone
        value = {"kind": value} if isinstance(value, str) else {}
    settings = {"kind": "network", **as_mapping(value, path)}
    cls = _class_of(settings, "operators", "kind", path)
    names = [f.name for f in dataclasses.fields(cls)]
    refuse_unknown(settings, ["kind", *names], path)
    for field in dataclasses.fields(cls):  # a file by default has a hash as well
        if f"{field.name}_sha256" in names and field.default is not dataclasses.MISSING:
            settings.setdefault(field.name, field.default)
    resolved = resolved_files(cls, settings, base, path)
    return _complete_kind(settings | resolved, "operators", "kind", path)


def _check_fast_forward(
    settings: Mapping[str, Any], solver: Mapping[str, Any], problem: Mapping[str, Any], iterations: int
) -> None:
    """Refuse an operator that cannot work with this solver, on this problem or in so many iterations."""
    if not (built := registry.build("solvers", solver)).can_go_back:
        message = f"'{solver_name(solver)}' cannot be carried ahead: {built.stays_because}; say 'off'"
        raise SettingError(("fast_forward",), message, partner=("solver",))
    if any(getattr(part, "probe_modes", 1) > 1 for part in built.constituents):
        message = "an operator moves a probe of one mode, and the solver has several; say 'off'"
        raise SettingError(("fast_forward",), message, partner=("solver", "probe_modes"))
    operator = registry.build("operators", settings)
    if operator.needs_truth and not kind_of(problem).knows_truth:
        message = f"'{settings['kind']}' needs the truth, which only a simulation knows; say 'off'"
        raise SettingError(("fast_forward",), message, partner=("problem", "kind"))
    try:
        operator.check(iterations)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise SettingError(("fast_forward", name), message, partner=("stop", "iterations")) from error
