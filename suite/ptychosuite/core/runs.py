"""What to compute (RunSpec) and what came of it (RunRecord).

Ids are remembered for as long as they are asked about: the runs of a plan share their parts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from functools import cached_property, wraps
from typing import Any, TypeVar

import numpy as np

from ptychosuite.core import stages
from ptychosuite.core.stages import STAGES, solver_name

Argument = TypeVar("Argument")
Result = TypeVar("Result")

MOST = 1024


def by_identity(function: Callable[[Argument], Result]) -> Callable[[Argument], Result]:
    """Call ``function`` once for each object, equal ones included: no hash, no comparison.

    For plain data that nobody changes: the runs of a plan share their problems and solvers.
    """
    known: dict[int, tuple[Argument, Result]] = {}

    @wraps(function)
    def remembered(argument: Argument) -> Result:
        found = known.get(id(argument))
        if found is None or found[0] is not argument:
            if len(known) >= MOST:
                known.clear()
            found = known[id(argument)] = (argument, function(argument))  # kept, so that its id stays its own
        return found[1]

    return remembered


CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)
ID_LENGTH = 16  # hexadecimal digits: 64 bits, so 1e5 runs collide with probability 3e-10


class Status(StrEnum):
    """How a run ended."""

    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    TIMED_OUT = "timed-out"

    @property
    def is_final(self) -> bool:
        """Whether the same specification would end the same way again."""
        return self in (Status.COMPLETED, Status.DIVERGED)


class Lane(StrEnum):
    """How runs share a machine: whether their times may be compared."""

    TIMING = "timing"  # one run alone on its core or device
    THROUGHPUT = "throughput"  # as many as fit; times mean nothing


@dataclass(frozen=True)
class RunSpec:
    """One reconstruction: plain data, complete, with every default filled in.

    Where it runs (worker, device, host) is provenance and not part of it.
    """

    problem: Mapping[str, Any]
    solver: Mapping[str, Any]
    stop: Mapping[str, Any]
    fast_forward: Mapping[str, Any] | None = None
    seed: int = 0
    backend: str = "numpy"
    dtype: str = "complex64"
    half_scans: bool = False
    snapshots: Sequence[int] = ()  # iterations whose object and probe are kept
    metrics: Sequence[str] = ()  # beyond the default ones: registered names, or package.module:Class

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain data that are the caller's own; ``metrics`` only where there are any."""
        names = (name for name in FIELDS if name != "metrics" or self.metrics)
        return {name: _copied(getattr(self, name)) for name in names}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunSpec:
        return cls(**{**data, **{name: tuple(data.get(name, ())) for name in LEFT_OUT}})

    @cached_property
    def spec_id(self) -> str:
        """Hash of the canonical JSON of the specification, without the paths of files."""
        names = [name for name in sorted(FIELDS) if name not in LEFT_OUT or getattr(self, name)]
        parts = (f'"{name}":{_canonical_field(name, getattr(self, name))}' for name in names)
        return _hash("{" + ",".join(parts) + "}")

    @cached_property
    def problem_id(self) -> str:
        """Hash of problem and seed: runs that share it see the same data, whatever they begin from.

        A probe to start from is part of it, that of a run excepted: then it is what that run began with.
        """
        return digest(_identity({"problem": _acting("problem", _of_data(self.problem)), "seed": self.seed}))

    @property
    def solver_name(self) -> str:
        """What tables call the solver: its name, or its stages in words, "rpie, 20; emagpie"."""
        return solver_name(self.solver)

    def run_id(self, code: str) -> str:
        """Hash of the specification and the fingerprint of the code that carries it out."""
        return digest([self.spec_id, code])

    def rng(self, purpose: str) -> np.random.Generator:
        """Random generator for one named purpose ("data", "order").

        Seeded by the problem and the seed, not by the solver: solvers that are compared see the same
        noise and the same scan orders.
        """
        return np.random.default_rng(int(digest([self.problem_id, purpose]), 16))

    def leaves(self) -> dict[str, Any]:
        """Dotted path of every scalar in the specification, with its value; ``metrics`` where it has any."""
        result: dict[str, Any] = {}
        for name in FIELDS:
            value = getattr(self, name)
            if name == "metrics" and not value:
                continue
            if isinstance(value, Mapping):
                result |= {f"{name}.{path}": leaf for path, leaf in _part_leaves(value).items()}
                if name == "solver":
                    result["solver.name"] = self.solver_name
            else:
                result[name] = value
        return result


FIELDS = tuple(f.name for f in fields(RunSpec))
FOUND_BY = ("study", "where", "began_with")
"""Settings that lead to the run whose ``run_id`` stands beside them, or follow from it."""
NOT_OF_DATA = ("start_object", "start_positions", "probe_scale", "hold_out")
"""Settings of a problem that change no count."""
IDLE: Mapping[str, Mapping[str, Any]] = {
    "problem": {"photons": None, "margin_px": 0, "rotation_deg": 0.0, "hold_out": 0.0},
    "solver": {
        "probe_modes": 1,
        "hold_power": None,
        "probe_variations": 0,
        "intensity": False,
        "variation_start": 5,  # acts with one of these two, and then is what it always was
        "forgets": "directions",  # acts where a fast-forward jumps
        "beta_1": 0.9,  # as it always was
        "beta_2": 0.999,
    },
    "fast_forward": {"judged_on": 25},  # the default: acts on long scans, whose code has changed with it
}
"""Settings of a part, at the values at which they do nothing, that its identity leaves out."""
LEFT_OUT = ("snapshots", "metrics")  # of the identity, where there are none: ids from before them stay


@dataclass(frozen=True)
class RunRecord:
    """Outcome of one run, as it goes into the results store."""

    run_id: str
    spec: RunSpec
    status: Status
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (iterations,) float64
    object: np.ndarray | None = None  # (H, W) complex64
    probe: np.ndarray | None = None  # (m, m) complex64
    snapshots: Mapping[int, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # object and probe
    rings: Mapping[str, np.ndarray] = field(default_factory=dict)  # ring correlation: name -> (rings,)
    scan_positions_px: np.ndarray | None = None  # (N, 2) float64; as found; those of a truth are there
    probe_modes: np.ndarray | None = None  # (M, m, m) complex64, all of them where there are several
    pattern_weights: np.ndarray | None = None  # (N, 1 + J): each pattern's intensity, weights of variations
    probe_variations: np.ndarray | None = None  # (J, m, m) complex64
    given_positions_px: np.ndarray | None = None  # (N, 2) where others were found, and no truth has them
    pattern_misfit: np.ndarray | None = None  # (N,) Poisson deviance per fitted pixel of each pattern
    provenance: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)  # what another needs beside the images to go on
    message: str = ""  # why it stopped, or the traceback of a failure
    reference: str = ""  # name of the reference file with the truth; empty where none is known

    def summary(self) -> dict[str, Any]:
        """The little that travels back to the client of a sweep."""
        return {
            "run_id": self.run_id,
            "status": str(self.status),
            "seconds": self.metrics.get("seconds", float("nan")),
            "message": self.message,
        }

    def with_reference(self, name: str) -> RunRecord:
        return replace(self, reference=name)


def canonical_json(data: Any) -> str:
    """JSON with sorted keys and no spaces: equal data give equal text."""
    return CANONICAL.encode(data)


def digest(data: Any) -> str:
    """Short hash of plain data."""
    return _hash(canonical_json(data))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]


def _canonical_field(name: str, value: Any) -> str:
    if not isinstance(value, Mapping):
        return canonical_json(value)
    if name == "problem":
        return _canonical_problem(value)
    if name == "solver":
        return _canonical_solver(value)
    return _canonical_fast_forward(value) if name == "fast_forward" else _canonical_part(value)


def data_probe(problem: Mapping[str, Any]) -> Any:
    """The probe to start from as far as the data of a problem depend on it."""
    start = problem.get("start_probe")
    if isinstance(start, Mapping) and start.get("began_with"):
        return json.loads(start["began_with"])
    return start


def _of_data(problem: Mapping[str, Any]) -> dict[str, Any]:
    """``problem`` as far as its data depend on it."""
    of_data = {key: value for key, value in problem.items() if key not in NOT_OF_DATA}
    return of_data | ({"start_probe": data_probe(problem)} if "start_probe" in problem else {})


@by_identity
def _canonical_part(part: Mapping[str, Any]) -> str:
    return canonical_json(_identity(part))


@by_identity
def _canonical_problem(part: Mapping[str, Any]) -> str:
    return canonical_json(_identity(_acting("problem", part)))


@by_identity
def _canonical_solver(part: Mapping[str, Any]) -> str:
    return canonical_json(_identity(_acting("solver", part)))


@by_identity
def _canonical_fast_forward(part: Mapping[str, Any]) -> str:
    """With a setting of earlier versions at the value that did nothing: ids of such runs stay."""
    return canonical_json(_identity({"refocus": 0, **_acting("fast_forward", part)}))


@by_identity
def _part_leaves(part: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_leaves("", part))


def _acting(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    """A part without settings and groups of settings that do nothing: ids from before them stay."""
    positions = name == "solver" and part.get("positions", True) is None  # not corrected, in no way
    acting = {key: value for key, value in part.items() if not _is_idle(IDLE[name], key, value)}
    if STAGES in acting:
        acting[STAGES] = [_acting("solver", stage) for stage in acting[STAGES]]
    return {key: value for key, value in acting.items() if not (positions and key.startswith("positions"))}


def _is_idle(idle: Mapping[str, Any], key: str, value: Any) -> bool:
    if isinstance(value, Mapping):  # whose values are all null, zero, off or empty
        return not any(any(item) if isinstance(item, list | tuple) else item for item in value.values())
    return key in idle and value == idle[key]


def _identity(data: Any) -> Any:
    """``data`` without the paths of files: where ``x_sha256`` stands beside ``x``, the hash is enough.

    Nor has it where the run that another begins from lies, and how it was asked for: its id is enough.
    """
    if isinstance(data, Mapping):
        known = FOUND_BY if data.get("run_id") else ()
        return {
            key: _identity(value)
            for key, value in data.items()
            if key not in known and not data.get(f"{key}_sha256")
        }
    if isinstance(data, list | tuple):
        return [_identity(value) for value in data]
    return data


def _copied(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(value) for value in data] if isinstance(data, list | tuple) else data


def as_scalar(value: Any) -> Any:
    """A setting as a column or an axis has it: of a list its items in one text."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _leaves(prefix: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(item, Mapping):
            yield from _leaves(path, item)
        elif path == STAGES and stages.stages_of(value):
            yield from stages.leaves(item)
        else:
            yield path, as_scalar(item)
