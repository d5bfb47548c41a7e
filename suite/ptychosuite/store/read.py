"""Read runs back."""

from __future__ import annotations

import json
import re
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from annotated_types import Ge, Interval, Predicate

from ptychosuite.core.problem import REQUIRED, Reference
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.errors import DamagedFile, StoreError
from ptychosuite.registry.validation import Keys, SettingError, as_mapping, shown, validate
from ptychosuite.store.group import unpack
from ptychosuite.store.layout import BESIDE, DIMENSIONS, SUFFIX, Store, check_version
from ptychosuite.store.place import Place

RUN = re.compile(rf"../(?P<run_id>\w+)(\.failed-(?P<attempt>\d+))?{re.escape(SUFFIX)}")
IMPORT = re.compile(rf"\w+{re.escape(SUFFIX)}")
SESSION = re.compile(r"[\w-]+(\.\d+Z?[\w-]*)?\.json")  # and no name that a program gives to a copy
SESSION_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{6}(\.\d{1,6})?Z")  # that it is named after
CODE = re.compile(r"\w+\.json")
SET_ASIDE = "set it aside with 'ptychosuite clean'"
IMAGES = ("object", "probe", "probe_modes", "probe_variations", "snapshot_objects", "snapshot_probes")

HEXADECIMAL = re.compile(r"[0-9a-f]{1,32}").fullmatch

ATTEMPT = re.compile(r"\.failed-(\d+)\.")

DAMAGED = (OSError, EOFError, LookupError, ValueError, TypeError, AttributeError, RuntimeError,
           MemoryError, zipfile.BadZipFile, zlib.error, struct.error)  # fmt: skip
"""What the bytes of a file raise that is no run."""

T = TypeVar("T")


@dataclass(frozen=True)
class PlannedStudy:
    """What a session notes of a plan: enough to draw it again from the store alone."""

    study: str
    title: str
    text: str  # of the study file
    overrides: Sequence[str]
    factors: Mapping[str, bool]  # dotted path -> is it a number?
    constants: Mapping[str, Any]
    figures: Sequence[Mapping[str, Any]]  # each its kind and its settings
    spec_ids: Sequence[str]
    run_ids: Sequence[str] = ()  # under the code that planned them; earlier versions did not note it
    settings: Mapping[str, Sequence[Any]] = field(
        default_factory=dict
    )  # dotted path of a factor -> each run's
    published: Sequence[Mapping[str, Any]] = ()  # what others have found: core.plan.Published
    tuned: Sequence[Mapping[str, Any]] = ()  # what tries have found: core.plan.Tuned


@dataclass(frozen=True, kw_only=True)
class Session(PlannedStudy):
    """The file of a session: who ran what, when, with which code and environment."""

    command: Sequence[str]
    cluster: str
    start: str
    environment: Mapping[str, Any]
    end: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class ScanOrder:
    """Where the generator of scan orders stood (PCG64), its 128 bits in hexadecimal digits."""

    state: Annotated[str, Predicate(HEXADECIMAL)]
    inc: Annotated[str, Predicate(HEXADECIMAL)]
    has_uint32: Annotated[int, Interval(ge=0, le=1)]
    uinteger: Annotated[int, Interval(ge=0, lt=2**32)]


@dataclass(frozen=True)
class KeptState:
    """What a run's file has beside its images for another run to go on from it."""

    order: Mapping[str, Any]  # a ScanOrder
    data_passes: Annotated[int, Ge(0)]
    found: Sequence[Literal["positions_px", "variation"]]


@dataclass(frozen=True)
class RunAttributes:
    """The attributes of a run's file; ``metric`` and its like name the rows of an array."""

    run_id: str
    spec: Mapping[str, Any]
    status: Literal["completed", "diverged", "failed", "timed-out"]
    metric: Sequence[str]
    curve: Sequence[str]
    ring_quantity: Sequence[str]
    provenance: Mapping[str, Any]
    message: str
    reference: str
    snapshot: Sequence[int] = ()
    state: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inventory:
    """What a store holds, from the names of files and their last bytes."""

    done: dict[str, Place]  # run_id -> file
    failed: dict[str, Place]  # run_id -> file of the latest failed try, for runs that are not done
    damaged: dict[str, Place] = field(default_factory=dict)  # run_id -> file in its place, for such runs

    @property
    def files(self) -> dict[str, Place]:
        """run_id -> file, of all of them."""
        return {**self.failed, **self.done}

    @property
    def attempts(self) -> dict[str, int]:
        """run_id -> how many tries have failed, of the runs that have failed."""
        found = {run_id: ATTEMPT.search(file.name) for run_id, file in self.failed.items()}
        return {run_id: int(match[1]) for run_id, match in found.items() if match}


@dataclass(frozen=True)
class Standing:
    """How the runs of a plan stand in a results folder; each is one of these.

    Parameters
    ----------
    done
        Completed, or diverged.
    failed
        Failed, or stopped at the time limit; not carried out again unless that is asked for.
    to_do
        The others.
    again
        How many of those to do have a result, which is to be computed anew, or have failed before.
    """

    done: int
    failed: int
    to_do: int
    again: int = 0

    @classmethod
    def of(cls, run_ids: Collection[str], held: Inventory, again: Collection[str] = ()) -> Standing:
        """Of the runs ``run_ids``, of which those in ``again`` are to do, whatever there is of them."""
        done = sum(run_id in held.done and run_id not in again for run_id in run_ids)
        failed = sum(run_id in held.failed and run_id not in again for run_id in run_ids)
        anew = sum(run_id in again and (run_id in held.done or run_id in held.failed) for run_id in run_ids)
        return cls(done, failed, len(run_ids) - done - failed, anew)

    def __str__(self) -> str:
        """As in "10 done, 2 failed, 28 to do"."""
        failed = f"{self.failed} failed, " if self.failed else ""
        anew = f" ({self.again} of them again)" if self.again else ""
        return f"{self.done} done, {failed}{self.to_do} to do{anew}"

    def to_dict(self) -> dict[str, int]:
        """Plain data for JSON."""
        return {"done": self.done, "failed": self.failed, "to_do": self.to_do}


def inventory(store: Store) -> Inventory:
    """List the runs of ``store`` without reading any; files that were cut off are none."""
    runs = store.runs
    found = [match for match in map(RUN.fullmatch, runs.files()) if match]
    done: dict[str, Place] = {}
    damaged: dict[str, Place] = {}
    attempts: dict[str, int] = {}
    for match, is_whole in zip(found, map(_is_whole, (runs / match[0] for match in found)), strict=True):
        run_id, attempt = match["run_id"], match["attempt"]
        if attempt is None:
            (done if is_whole else damaged)[run_id] = runs / match[0]
        elif is_whole:
            attempts[run_id] = max(attempts.get(run_id, 0), int(attempt))
    failed = {
        run_id: store.failed_file(run_id, attempt)
        for run_id, attempt in attempts.items()
        if run_id not in done
    }
    return Inventory(done, failed, {run_id: damaged[run_id] for run_id in damaged.keys() - done.keys()})


def _is_whole(file: Place) -> bool:
    try:
        return file.ends_as_zip()
    except StoreError:  # it may not be read
        return False


def read_run(file: Place, images: bool = True) -> RunRecord:
    """One run from its file, with or without its images: object, probe and snapshots.

    Raises
    ------
    StoreError
        The file is damaged or missing, no run or not that of its name, or another version's.
    """
    found, arrays = _unpacked(file, leave_out=() if images else IMAGES)
    check_version(found.get("schema_version"), file)
    with _expected(file, "a run", f"{SET_ASIDE} and run the study again"):
        run = _known(RunAttributes, found, ())
        named = RUN.fullmatch(f"__/{file.name}")
        if named and named["run_id"] != run.run_id:
            raise SettingError(
                ("run_id",), f"found {shown(run.run_id)}; the file has the name of another run"
            )
        spec = _known(RunSpec, _without_removed(run.spec), ("spec",), refuse=True)
        solver = spec.solver.get("name")
        if not isinstance(solver, str):
            raise SettingError(("spec", "solver", "name"), f"found {shown(solver)}; expected a name")
        kept = run.snapshot if "snapshot_objects" in arrays else ()
        states = _pairs("snapshot", kept, arrays, "snapshot_objects", "snapshot_probes")
        return RunRecord(
            run_id=run.run_id,
            spec=replace(spec, snapshots=tuple(spec.snapshots), metrics=tuple(spec.metrics)),
            status=Status(run.status),
            metrics={name: float(value) for name, value in _pairs("metric", run.metric, arrays, "metrics")},
            curves=dict(_pairs("curve", run.curve, arrays, "curves")),
            object=arrays.get("object"),
            probe=arrays.get("probe"),
            snapshots={iteration: (obj, probe) for iteration, obj, probe in states},
            rings=dict(_pairs("ring_quantity", run.ring_quantity, arrays, "rings")),
            **{name: arrays.get(name) for name in BESIDE},
            provenance=run.provenance,
            state=_checked_state(run.state),
            message=run.message,
            reference=run.reference,
        )


def _checked_state(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a run's file has for another to go on from it, if it has anything."""
    if state:
        _known(
            ScanOrder,
            _known(KeptState, state, ("state",), refuse=True).order,
            ("state", "order"),
            refuse=True,
        )
    return state


def read_reference(store: Store, name: str) -> Reference | None:
    """The truth that a run was compared with; None where it had none.

    Raises
    ------
    StoreError
        Its file is damaged or missing, or another version's.
    """
    if not name:
        return None
    file = store.reference_file(name)
    found, arrays = _unpacked(file)
    check_version(found.get("schema_version"), file)
    with _expected(file, "a truth", f"{SET_ASIDE} and run the study again"):
        for key in REQUIRED:
            if key not in arrays:
                raise SettingError((), f"the array '{key}' is missing")
    names = {f.name for f in fields(Reference)}
    return Reference(**{name: array for name, array in arrays.items() if name in names})


def readable_run(file: Place, images: bool = False) -> RunRecord | None:
    """One run as :func:`read_run` reads it; None where its file is damaged, missing or may not be read."""
    try:
        return read_run(file, images)
    except StoreError:
        return None


def sessions(store: Store) -> Iterator[dict[str, Any]]:
    """The sessions of ``store``, oldest first, each as :class:`Session` says; a key that is not known stays.

    One that is damaged is left out: ``store.faults`` names it.
    """
    for key in sorted(filter(SESSION.fullmatch, store.sessions.files())):
        with suppress(StoreError):
            yield read_session(store.sessions / key)


def read_session(file: Place) -> dict[str, Any]:
    """One session from its file.

    Raises
    ------
    StoreError
        It is damaged, no session, or may not be read.
    """
    content = _json(file)
    with _expected(file, "a session", f"{SET_ASIDE}: the runs stay"):
        _known(Session, content, ())
    return dict(content)


def last_session(store: Store) -> dict[str, Any]:
    """What the latest readable session noted, empty where there is none; those before it stay unread."""
    for key in sorted(filter(SESSION.fullmatch, store.sessions.files()), reverse=True):
        with suppress(StoreError):
            return read_session(store.sessions / key)
    return {}


def last_session_time(store: Store) -> datetime | None:
    """The latest time that a session of ``store`` is named after; None where none is named after one."""
    names = filter(None, map(SESSION_TIME.match, store.sessions.files()))
    return max((datetime.fromisoformat(match[0]) for match in names if _is_time(match[0])), default=None)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def latest_session(store: Store) -> Mapping[str, Any]:
    """What the latest session of ``store`` noted.

    Raises
    ------
    StoreError
        There is none that can be read.
    """
    session = last_session(store)
    if not session:
        raise StoreError(f"{store.root} has no session that can be read; name the study file instead")
    return session


def checked_study(content: Any, what: object) -> Mapping[str, Any]:
    """``content`` where it is what a session notes of a plan.

    Raises
    ------
    StoreError
        It is something else.
    """
    with _expected(what, "a study", "get a fresh copy"):
        _known(PlannedStudy, content, ())
    found: Mapping[str, Any] = content
    return found


def _unpacked(file: Place, leave_out: Collection[str] = ()) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The Zarr group in a zip file; whatever is wrong with it is said in one way."""
    try:
        with file.open() as content:
            attributes, arrays = unpack(content, leave_out)
        for name, array in arrays.items():
            if array.ndim != len(DIMENSIONS.get(name, array.shape)):
                raise ValueError(f"the array '{name}' has {array.ndim} dimensions")
        return dict(attributes), arrays
    except FileNotFoundError as error:
        raise DamagedFile(f"{file} cannot be read: it is missing; run the study again") from error
    except DAMAGED as error:
        told = f"{file} cannot be read: {error}; {SET_ASIDE} and run the study again"
        raise DamagedFile(told) from error


@dataclass(frozen=True)
class CodeList:
    """The file of a fingerprint."""

    files: Mapping[str, str]  # name -> hash
    packages: Mapping[str, str]  # name -> version


def codes(store: Store) -> dict[str, dict[str, dict[str, str]]]:
    """Fingerprint -> its ``files`` and ``packages``, as written; those that are damaged are left out."""
    found = {}
    for key in filter(CODE.fullmatch, store.code.files()):
        with suppress(StoreError):
            found[key.removesuffix(".json")] = read_code(store.code / key)
    return found


def read_code(file: Place) -> dict[str, dict[str, str]]:
    """The files and packages behind a fingerprint.

    Raises
    ------
    StoreError
        It is damaged, or may not be read.
    """
    content = _json(file)
    with _expected(file, "a list of code", SET_ASIDE):
        _known(CodeList, content, ())
    return dict(content)


def _json(file: Place) -> Any:
    try:
        return json.loads(file.read())
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFile(f"{file} cannot be read: {error}; {SET_ASIDE}") from error


@contextmanager
def _expected(file: object, what: str, remedy: str) -> Iterator[None]:
    """Say in one line what ``file`` has that ``what`` has not."""
    try:
        yield
    except SettingError as error:
        where = ".".join(str(part) for part in error.path)
        told = f"{where}: {error.message}" if where else error.message
        raise DamagedFile(f"{file} is not {what} that this ptychosuite reads: {told}; {remedy}") from error


def _known(cls: type[T], data: Any, path: Keys, refuse: bool = False) -> T:
    """Make a ``cls`` of what it knows of ``data``; what it does not know is left out, or refused."""
    content = as_mapping(data, path)
    if not refuse:
        names = {f.name for f in fields(cls)}  # type: ignore[arg-type]  # a dataclass
        content = {key: value for key, value in content.items() if key in names}
    made: T = validate(cls, content, path)
    return made


def _without_removed(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """``spec`` without a setting of earlier versions that is no more, where it did nothing."""
    settings = spec.get("fast_forward")
    if not isinstance(settings, Mapping) or settings.get("refocus") != 0:
        return spec
    kept = {key: value for key, value in settings.items() if key != "refocus"}
    return {**spec, "fast_forward": kept}


def _pairs(
    name: str, labels: Sequence[Any], arrays: Mapping[str, np.ndarray], *columns: str
) -> list[tuple[Any, ...]]:
    """Each label with its part of the arrays ``columns``."""
    parts = [arrays.get(column, ()) for column in columns]
    for column, part in zip(columns, parts, strict=True):
        if len(part) != len(labels):
            raise SettingError((name,), f"found {len(labels)}; the array '{column}' has {len(part)}")
    return list(zip(labels, *parts, strict=True))
