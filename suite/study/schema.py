"""What a run may be: settings are checked here and completed with their defaults.

The classes that do the work (objects, probes, scans, solvers) declare their own settings as dataclass
fields with constraints; this module finds them by name and lets pydantic check the values.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import numpy as np
from annotated_types import Ge, Gt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from suite.core import registry
from suite.core.figures import FIGURES, Figure
from suite.core.run import RunSpec, canonical_json
from suite.errors import UserError, nearest

Path_ = tuple[str | int, ...]

RUN_FIELDS = ("problem", "solver", "fast_forward", "stop", "seed", "backend", "dtype")
STUDY_FIELDS = ("study", "title", "axes", "zip", "exclude", "include", "figures", *RUN_FIELDS)
KINDS = {"object": "objects", "probe": "probes", "scan": "scans"}
DEFAULTS: Mapping[str, Any] = {
    "problem": {
        "object": {"kind": "images"},
        "probe": {"kind": "fresnel-zone-plate"},
        "scan": {"kind": "raster"},
        "noise": 0.05,
    },
    "solver": {"name": "rpie"},
    "stop": {},
    "fast_forward": None,
    "seed": 0,
    "backend": "numpy",
    "dtype": "complex64",
}


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
        Metrics are computed and rules checked every n-th iteration.
    continue_past_tolerance
        Go on to ``iterations`` when a tolerance is met; the iteration is recorded all the same.
    """

    iterations: Annotated[int, Ge(1)] = 200
    gradient: Annotated[float, Gt(0)] | None = None
    residual: Annotated[float, Gt(0)] | None = None
    seconds: Annotated[float, Gt(0)] | None = None
    check_every: Annotated[int, Ge(1)] = 1
    continue_past_tolerance: bool = False


@dataclass(frozen=True)
class RunFields:
    """The fields of a run that are single values."""

    seed: Annotated[int, Ge(0)] = 0
    backend: Literal["numpy", "torch", "torch-cuda", "cupy"] = "numpy"
    dtype: Literal["complex64", "complex128"] = "complex64"
    noise: Annotated[float, Ge(0)] = 0.05


class SettingError(Exception):
    """A setting that cannot be; ``path`` says which, the study file's line is found from it."""

    def __init__(self, path: Sequence[str | int], message: str) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message


@dataclass(frozen=True)
class Size:
    """How large a run's problem is, for checks and cost estimates."""

    object_shape: tuple[int, int]
    probe_size: int
    n_positions: int


def complete_run(fields: Mapping[str, Any], base: Path) -> RunSpec:
    """Check one run's fields and fill in every default.

    Parameters
    ----------
    fields
        The run as the study gives it: plain nested data.
    base
        Folder that relative paths count from.

    Raises
    ------
    SettingError
        Unknown key, wrong type or impossible value.
    """
    _refuse_unknown(fields, RUN_FIELDS, ())
    problem = json.loads(_complete_problem(_dump(fields["problem"], ("problem",)), str(base)))
    solver = json.loads(_complete_solver(_dump(fields["solver"], ("solver",))))
    single = {name: fields[name] for name in ("seed", "backend", "dtype")}
    checked = validate(RunFields, single, ())
    spec = RunSpec(
        problem=problem,
        solver=solver,
        stop=dataclasses.asdict(validate(Stop, fields["stop"], ("stop",))),
        fast_forward=_fast_forward(fields["fast_forward"]),
        seed=checked.seed,
        backend=checked.backend,
        dtype=checked.dtype,
    )
    try:
        registry.build("solvers", solver).check(problem_size(spec).probe_size)
    except ValueError as error:
        name, _, message = str(error).partition(": ")
        raise SettingError(("solver", name), message) from error
    return spec


def problem_size(spec: RunSpec) -> Size:
    """Sizes of the problem of ``spec``."""
    return _problem_size(canonical_json(dict(spec.problem)))


def figure(settings: Any, path: Path_) -> Figure:
    """Check one entry of ``figures``."""
    settings = _mapping(settings, path)
    kind = settings.pop("kind", None)
    if kind not in FIGURES:
        raise SettingError((*path, "kind"), f"unknown figure '{kind}'; {nearest(str(kind), FIGURES)}")
    if isinstance(settings.get("show"), list):
        settings["show"] = tuple(settings["show"])
    return validate(FIGURES[kind], settings, path)


def validate(cls: Any, data: Any, path: Path_) -> Any:
    """Make a ``cls`` (a dataclass) of ``data``, refusing unknown keys and wrong values."""
    data = _mapping(data, path)
    _refuse_unknown(data, [f.name for f in dataclasses.fields(cls)], path)
    try:
        checked = settings_model(cls).model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        location = [part for part in first["loc"] if isinstance(part, int) or part in data]
        if first["type"] == "missing":
            raise SettingError(path, f"'{first['loc'][0]}' is missing") from error
        message = first["msg"].replace("Input should be", "expected", 1)
        raise SettingError((*path, *location), f"found {_shown(first['input'])}; {message}") from error
    return cls(**{name: getattr(checked, name) for name in type(checked).model_fields})


@cache
def settings_model(cls: Any) -> type[BaseModel]:
    """The pydantic model with the fields, constraints and defaults of a settings dataclass."""
    hints = get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {}
    for f in dataclasses.fields(cls):
        if f.default_factory is not dataclasses.MISSING:
            default = Field(default_factory=f.default_factory)
        else:
            default = Field(... if f.default is dataclasses.MISSING else f.default)
        fields[f.name] = (hints[f.name], default)
    return create_model(cls.__name__, __config__=ConfigDict(strict=True, extra="forbid"), **fields)


@lru_cache(maxsize=4096)
def _complete_problem(text: str, base: str) -> str:
    """JSON in, JSON out, so that the runs that share a problem are checked once."""
    problem = _mapping(json.loads(text), ("problem",))
    _refuse_unknown(problem, (*KINDS, "noise"), ("problem",))
    result: dict[str, Any] = {}
    for part, group in KINDS.items():
        default = DEFAULTS["problem"][part]
        settings = _mapping(problem.get(part, default), ("problem", part))
        result[part] = _complete_kind(settings, group, "kind", ("problem", part), Path(base))
    noise = problem.get("noise", DEFAULTS["problem"]["noise"])
    result["noise"] = validate(RunFields, {"noise": noise}, ("problem",)).noise
    completed = canonical_json(result)
    _check_problem(completed)
    return completed


def _check_problem(problem: str) -> None:
    size = _problem_size(problem)
    if size.probe_size > min(size.object_shape):
        raise SettingError(
            ("problem", "probe"),
            f"the probe has {size.probe_size} x {size.probe_size} pixels, the object only "
            f"{size.object_shape[0]} x {size.object_shape[1]}; make the object larger or the probe smaller",
        )


@lru_cache(maxsize=4096)
def _problem_size(problem: str) -> Size:
    settings = json.loads(problem)
    shape = _built("object", settings).shape
    probe = _built("probe", settings).size
    if probe > min(shape):
        return Size(shape, probe, 0)
    try:
        positions = _built("scan", settings).positions(shape, probe, np.random.default_rng(0))
    except UserError as error:
        raise SettingError(("problem", "scan"), str(error)) from error
    return Size(shape, probe, len(positions))


def _built(part: str, problem: Mapping[str, Any]) -> Any:
    """The object, probe or scan, made once to be sure that its files can be read."""
    built = registry.build(KINDS[part], problem[part])
    try:
        from_file = any(name.endswith("_sha256") and value for name, value in problem[part].items())
        if from_file and part != "scan":
            built.make()
    except UserError as error:
        raise SettingError(("problem", part), str(error)) from error
    return built


@lru_cache(maxsize=4096)
def _complete_solver(text: str) -> str:
    solver = json.loads(text)
    settings = {"name": solver} if isinstance(solver, str) else _mapping(solver, ("solver",))
    return canonical_json(_complete_kind(settings, "solvers", "name", ("solver",), Path()))


def _complete_kind(settings: dict[str, Any], group: str, key: str, path: Path_, base: Path) -> dict[str, Any]:
    """Settings of a registered class, complete; files made absolute and hashed."""
    if key not in settings:
        raise SettingError(path, f"'{key}' is missing; {nearest('', registry.names(group))}")
    name = settings.pop(key)
    try:
        cls = registry.settings_class(group, str(name))
    except UserError as error:
        raise SettingError((*path, key), str(error)) from error
    fields = [f.name for f in dataclasses.fields(cls)]
    for field in fields:
        if f"{field}_sha256" in fields and field in settings:
            settings |= _resolved_file(field, settings[field], base, path)
    return {key: name, **dataclasses.asdict(validate(cls, settings, path))}


def _resolved_file(field: str, value: Any, base: Path, path: Path_) -> dict[str, str]:
    """Absolute path and hash of a file; a bundled image's name stays as it is."""
    from suite.problems.files import file_sha256
    from suite.problems.images import is_bundled

    if not isinstance(value, str):
        raise SettingError((*path, field), f"found {_shown(value)}; expected a path")
    if field != "path" and is_bundled(value):
        return {field: value}
    file = (base / value).expanduser().resolve()
    if field != "path" and not file.exists():
        from suite.problems.images import BUNDLED

        message = f"image '{value}' is neither a file ({file}) nor a bundled image; {nearest(value, BUNDLED)}"
        raise SettingError((*path, field), message)
    try:
        return {field: str(file), f"{field}_sha256": file_sha256(str(file))}
    except UserError as error:
        raise SettingError((*path, field), str(error)) from error


def _fast_forward(value: Any) -> dict[str, Any] | None:
    if value is None or value is False:
        return None
    raise SettingError(
        ("fast_forward",), f"found {_shown(value)}; this version has no fast-forward operator yet, say 'off'"
    )


def _mapping(value: Any, path: Path_) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise SettingError(path, f"found {_shown(value)}; expected keys and values")
    return dict(value)


def _refuse_unknown(data: Mapping[str, Any], valid: Sequence[str], path: Path_) -> None:
    valid = [name for name in valid if not name.endswith("_sha256") or name in data]
    for key in data:
        if key not in valid:
            raise SettingError((*path, key), f"unknown key '{key}'; {nearest(str(key), valid)}")


def _dump(value: Any, path: Path_) -> str:
    try:
        return canonical_json(value)
    except (TypeError, ValueError) as error:
        raise SettingError(path, f"holds something other than plain data: {error}") from error


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
