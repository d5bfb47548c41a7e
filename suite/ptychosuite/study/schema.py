"""What a run may be: settings are checked here and completed with their defaults.

The classes that do the work (objects, probes, scans, solvers) declare their own settings as dataclass
fields with constraints; this module finds them by name.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal

import numpy as np
from annotated_types import Ge, Gt

from ptychosuite.core.memo import by_identity
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import UserError, nearest
from ptychosuite.problems.files import file_sha256
from ptychosuite.problems.images import BUNDLED, is_bundled
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.validation import Keys, SettingError, as_mapping, refuse_unknown, shown, validate

PLAIN_FILES = ("path", "checkpoint")  # fields that name a file; others may name a bundled image as well
JSON = json.JSONEncoder()
VARIABLE = re.compile(r"\$\{(\w+)\}")  # an environment variable in a path
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
    "train",
    "check",
    *RUN_FIELDS,
)
KINDS = {"object": "objects", "probe": "probes", "scan": "scans"}
SIMULATED = {
    "object": {"kind": "images"},
    "probe": {"kind": "fresnel-zone-plate"},
    "scan": {"kind": "raster"},
}
DEFAULTS: Mapping[str, Any] = {
    "problem": {"kind": "simulated"},
    "solver": {"name": "rpie"},
    "stop": {},
    "fast_forward": None,
    "seed": 0,
    "backend": "numpy",
    "dtype": "complex64",
    "half_scans": False,
    "snapshots": [],
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

    ``half_scans``: reconstruct two halves of the scan as well, for a Fourier ring correlation without truth.
    ``snapshots``: iterations after which object and probe are kept.
    """

    seed: Annotated[int, Ge(0)] = 0
    backend: Literal["numpy", "torch", "torch-cuda", "cupy"] = "numpy"
    dtype: Literal["complex64", "complex128"] = "complex64"
    half_scans: bool = False
    snapshots: Sequence[Annotated[int, Ge(1)]] = ()


SINGLE = tuple(f.name for f in dataclasses.fields(RunFields))


@dataclass(frozen=True)
class Noise:
    """eta of d = eta * Poisson(|F psi|^2 / eta); 0 is noiseless."""

    noise: Annotated[float, Ge(0)] = 0.05


@dataclass(frozen=True)
class Size:
    """How large a run's problem is, for checks and cost estimates."""

    object_shape: tuple[int, int]
    probe_size: int
    n_positions: int


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
        stop = self._part("stop", fields["stop"], _complete_stop)
        single = self._part("single", {name: fields[name] for name in SINGLE}, _complete_single)
        fast_forward = self._part("fast_forward", fields["fast_forward"], self._fast_forward)
        size = problem_size(problem).probe_size
        self._part("check", [fields["solver"], size], lambda _: _check_solver(solver, size))
        if fast_forward is not None:
            _check_fast_forward(fast_forward, solver["name"], stop["iterations"])
        return RunSpec(problem=problem, solver=solver, stop=stop, fast_forward=fast_forward, **single)

    def _part(self, name: str, given: Any, complete: Callable[[Any], Any]) -> Any:
        key = f"{name} {JSON.encode(given)}"
        if key not in self._parts:
            self._parts[key] = complete(given)
        return self._parts[key]

    def _problem(self, given: Any) -> dict[str, Any]:
        return _complete_problem(_with_files(given, self._base))

    def _fast_forward(self, given: Any) -> dict[str, Any] | None:
        return _complete_fast_forward(given, self._base)


@by_identity
def problem_size(problem: Mapping[str, Any]) -> Size:
    """Sizes of a run's problem."""
    return _problem_size(json.dumps(problem, sort_keys=True))


def complete_figure(settings: Any, path: Keys) -> dict[str, Any]:
    """Check one entry of ``figures`` and fill in its defaults."""
    return _plain(_complete_kind(settings, "figures", "kind", path))


def _with_files(problem: Any, base: Path) -> dict[str, Any]:
    """The problem with every file's path made absolute and its hash beside it.

    Not remembered: a file may change while this process lives.
    """
    problem = as_mapping(problem, ("problem",))
    kind = problem.setdefault("kind", "simulated")
    if kind != "simulated":
        if kind not in registry.names("problems"):
            kinds = ["simulated", *registry.names("problems")]
            raise SettingError(("problem", "kind"), f"found {shown(kind)}; {nearest(str(kind), kinds)}")
        cls = registry.class_of("problems", kind)
        problem |= _resolved_files(cls, problem, base, ("problem",))
    for part in ("object", "probe", "scan", "start_probe"):
        if isinstance(problem.get(part), str):  # "object: texture" is short for "object: {kind: texture}"
            problem[part] = {"kind": problem[part]}
        if isinstance(problem.get(part), Mapping):
            path: Keys = ("problem", part)
            settings = dict(problem[part])
            cls = _class_of(settings, KINDS.get(part, "probes"), "kind", path)
            problem[part] = settings | _resolved_files(cls, settings, base, path)
    return problem


def _complete_problem(problem: dict[str, Any]) -> dict[str, Any]:
    start_probe = problem.pop("start_probe", None)
    kind = problem["kind"]
    if kind == "simulated":
        result = _complete_simulated(problem)
    else:
        result = _complete_kind(problem, "problems", "kind", ("problem",))
    if start_probe is not None:
        start_probe = _complete_kind(start_probe, "probes", "kind", ("problem", "start_probe"))
    result["start_probe"] = start_probe
    _check_problem(result, problem_size(result))
    return _plain(result, sort_keys=True)


def _complete_simulated(problem: dict[str, Any]) -> dict[str, Any]:
    refuse_unknown(problem, ("kind", *KINDS, "noise"), ("problem",))
    result: dict[str, Any] = {"kind": "simulated"}
    for part, group in KINDS.items():
        settings = problem.get(part, SIMULATED[part])
        result[part] = _complete_kind(settings, group, "kind", ("problem", part))
    noise = {"noise": problem["noise"]} if "noise" in problem else {}
    result["noise"] = validate(Noise, noise, ("problem",)).noise
    return result


def _check_problem(problem: Mapping[str, Any], size: Size) -> None:
    if size.probe_size > min(size.object_shape):
        raise SettingError(
            ("problem", "probe", "size"),
            f"the probe has {size.probe_size} x {size.probe_size} pixels, the object only "
            f"{size.object_shape[0]} x {size.object_shape[1]}; make the object larger or the probe smaller",
            partner=("problem", "object", "size"),
        )
    if problem["start_probe"] is not None:
        started = _built("start_probe", problem).size
        if started != size.probe_size:
            raise SettingError(
                ("problem", "start_probe"),
                f"found {started} pixels on a side; the patterns have {size.probe_size}",
            )


@lru_cache(maxsize=4096)
def _problem_size(text: str) -> Size:
    problem = json.loads(text)
    try:
        if problem["kind"] != "simulated":
            measured = {key: value for key, value in problem.items() if key != "start_probe"}
            return Size(*registry.build("problems", measured).sizes())
    except UserError as error:
        raise SettingError(("problem", "path"), str(error)) from error
    shape, probe = _built("object", problem).shape, _built("probe", problem).size
    if probe > min(shape):
        return Size(shape, probe, 0)
    try:
        positions = _built("scan", problem).positions(shape, probe, np.random.default_rng(0))
    except UserError as error:
        raise SettingError(("problem", "scan"), str(error)) from error
    return Size(shape, probe, len(positions))


def _built(part: str, problem: Mapping[str, Any]) -> Any:
    """The object, probe or scan; made once where it comes from a file, to be sure that it can be read."""
    built = registry.build(KINDS.get(part, "probes"), problem[part])
    from_file = any(name.endswith("_sha256") and value for name, value in problem[part].items())
    try:
        if from_file and part != "scan":
            built.make()
    except UserError as error:
        raise SettingError(("problem", part), str(error)) from error
    return built


def _complete_solver(solver: Any) -> dict[str, Any]:
    settings = {"name": solver} if isinstance(solver, str) else as_mapping(solver, ("solver",))
    return _plain(_complete_kind(settings, "solvers", "name", ("solver",)))


def _plain(data: dict[str, Any], sort_keys: bool = False) -> Any:
    """As it comes back from a file: lists for tuples."""
    return json.loads(json.dumps(data, sort_keys=sort_keys))


def _complete_stop(stop: Any) -> dict[str, Any]:
    return dataclasses.asdict(validate(Stop, stop, ("stop",)))


def _complete_single(single: Any) -> dict[str, Any]:
    complete = dataclasses.asdict(validate(RunFields, single, ()))
    return complete | {"snapshots": tuple(sorted(set(complete["snapshots"])))}


def _check_solver(solver: Mapping[str, Any], probe_size: int) -> None:
    """Let the solver refuse what it cannot do with patterns of this size."""
    try:
        registry.build("solvers", solver).check(probe_size)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise SettingError(("solver", name), message) from error


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


def _resolved_files(cls: type[Any], settings: Mapping[str, Any], base: Path, path: Keys) -> dict[str, Any]:
    """Absolute paths and hashes of the files that ``settings`` of ``cls`` name."""
    resolved: dict[str, Any] = {}
    fields = [f.name for f in dataclasses.fields(cls)]
    for key in settings:
        if key.endswith("_sha256"):
            raise SettingError((*path, key), f"unknown key '{key}'; hashes of files are taken, not given")
        if f"{key}_sha256" in fields:
            resolved |= _resolved_file(key, settings[key], base, path, getattr(cls, "bundled_files", {}))
    return resolved


def _resolved_file(
    field: str, value: Any, base: Path, path: Keys, bundled: Mapping[str, Path]
) -> dict[str, str]:
    """Absolute path and hash of a file; the name of a bundled file or image stays as it is."""
    if not isinstance(value, str):
        raise SettingError((*path, field), f"found {shown(value)}; expected a path")
    names_image = field not in PLAIN_FILES
    if names_image and is_bundled(value):
        return {}
    if value in bundled:
        return {f"{field}_sha256": _hash_of(bundled[value], (*path, field))}
    if bundled and not PurePath(value).suffix:
        message = f"found '{value}', neither a name nor a file with a suffix; {nearest(value, bundled)}"
        raise SettingError((*path, field), message)
    for name in VARIABLE.findall(value):
        if name not in os.environ:
            message = f"the environment variable {name} is not set; export {name}=FOLDER first"
            raise SettingError((*path, field), message)
    value = VARIABLE.sub(lambda match: os.environ[match[1]], value)
    file = (base / value).expanduser().resolve()
    if names_image and not file.exists():
        message = f"image '{value}' is neither a file ({file}) nor a bundled image; {nearest(value, BUNDLED)}"
        raise SettingError((*path, field), message)
    return {field: str(file), f"{field}_sha256": _hash_of(file, (*path, field))}


def _hash_of(file: Path, path: Keys) -> str:
    try:
        return file_sha256(str(file))
    except UserError as error:
        raise SettingError(path, str(error)) from error


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
        if f"{field.name}_sha256" in names:
            settings.setdefault(field.name, field.default)
    resolved = _resolved_files(cls, settings, base, path)
    return _complete_kind(settings | resolved, "operators", "kind", path)


def _check_fast_forward(settings: Mapping[str, Any], solver: str, iterations: int) -> None:
    if not getattr(registry.class_of("solvers", solver), "can_go_back", True):
        message = f"the solver '{solver}' cannot go back to an earlier state; say 'off'"
        raise SettingError(("fast_forward",), message, partner=("solver",))
    try:
        registry.build("operators", settings).check(iterations)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise SettingError(("fast_forward", name), message, partner=("stop", "iterations")) from error
