"""The quality figures of a study's runs, kept in a small file to compare later runs with."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ptychosuite.analysis.labels import run_labels
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunRecord, RunSpec
from ptychosuite.errors import BaselineError, nearest
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.store.layout import Store, place
from ptychosuite.store.read import inventory, readable_run

SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
KEPT_ITERATIONS = (0, 1, 2, 5, 10, 25, 50, 100, 200, 500, 1000, 2000, 5000)
ENVIRONMENT = (
    "ptychosuite", "sources", "git_commit", "git_dirty", "python", "packages", "cpu", "instructions",
    "gpu_model",
)  # fmt: skip

Values = Mapping[str, float | None]
"""Name -> number; None where it is none (NaN, infinite)."""


@dataclass(frozen=True)
class RunFigures:
    """What is compared of one run."""

    spec_id: str
    label: str  # "rpie · noise 0.05 · seed 0"
    status: str
    metrics: Values = field(default_factory=dict)  # at the end
    curves: Mapping[str, Values] = field(default_factory=dict)  # name -> iteration, as text -> value


@dataclass(frozen=True)
class Baseline:
    """The figures of a study's runs at one commit."""

    name: str
    study: str
    when: str  # UTC, ISO 8601
    environment: Mapping[str, Any]  # of the runs: code, commit, packages, processor
    runs: Sequence[RunFigures]


@dataclass(frozen=True)
class PresentRuns:
    """What the results folder holds of a plan, under the present code."""

    figures: Sequence[RunFigures]  # of the runs that were done or have failed
    environment: Mapping[str, Any]
    missing: Sequence[str]  # labels of the runs that have not been done


def figures_of(record: RunRecord, label: str) -> RunFigures:
    """The figures of one run."""
    metrics = known_metrics()
    telling = [metric.name for metric in metrics if metric.tells_beginnings]
    kept = [metric.name for metric in metrics if metric.in_baseline]
    curves = {name: record.curves[name] for name in telling if name in record.curves}
    length = max((len(values) for values in curves.values()), default=0)
    measured = [
        n
        for n in KEPT_ITERATIONS
        if n < length and any(math.isfinite(values[n]) for values in curves.values())
    ]
    return RunFigures(
        spec_id=record.spec.spec_id,
        label=label,
        status=str(record.status),
        metrics={name: _number(record.metrics[name]) for name in kept if name in record.metrics},
        curves={name: {str(n): _number(values[n]) for n in measured} for name, values in curves.items()},
    )


def present_runs(plan: Plan, results: str) -> PresentRuns:
    """What the results folder at ``results`` holds of ``plan``, each run as the present code computed it."""
    store = Store.find(results)
    files = inventory(store).files if store else {}
    figures, missing = [], []
    environment: dict[str, Any] = {}
    labels = run_labels([spec.leaves() for spec in plan.runs], plan.factors)
    for run_id, label in zip(plan.run_ids, labels, strict=True):
        record = readable_run(files[run_id]) if run_id in files else None
        if record:
            figures.append(figures_of(record, label))
            environment = {**record.provenance, **environment}
        else:
            missing.append(label)
    return PresentRuns(figures, {key: environment[key] for key in ENVIRONMENT if key in environment}, missing)


def make_baseline(name: str, plan: Plan, present: PresentRuns, when: str) -> Baseline:
    """The baseline of all runs of ``plan``.

    Raises
    ------
    BaselineError
        Runs are missing or have failed, or end by the clock, so that their figures do not repeat.
    """
    if present.missing:
        raise BaselineError(
            f"{len(present.missing)} of {len(plan.runs)} runs of '{plan.name}' have not been done with the "
            f"present code, '{present.missing[0]}' among them; run them first: ptychosuite run STUDY"
        )
    failed = [run.label for run in present.figures if run.status not in ("completed", "diverged")]
    if failed:
        raise BaselineError(
            f"{len(failed)} of {len(plan.runs)} runs of '{plan.name}' have failed, '{failed[0]}' among them; "
            "a baseline needs runs that ended on their own: ptychosuite run STUDY --retry-failed"
        )
    if any(_ends_by_the_clock(spec) for spec in plan.runs):
        raise BaselineError(
            f"runs of '{plan.name}' end by the clock (stop.seconds), so that their figures do not repeat; "
            "leave stop.seconds out"
        )
    return Baseline(name, plan.name, when, present.environment, present.figures)


def baseline_file(folder: Path, name: str) -> Path:
    """Where the baseline ``name`` lies.

    Raises
    ------
    BaselineError
        The name cannot be that of a file.
    """
    if not NAME.fullmatch(name):
        raise BaselineError(
            f"found the name '{name}'; expected letters, digits, '.', '_' and '-', as in a file name "
            "(--baselines names the folder)"
        )
    return folder / f"{name}.json"


def write_baseline(folder: Path, baseline: Baseline, force: bool = False) -> Path:
    """Write ``baseline`` in one step.

    Raises
    ------
    BaselineError
        There is one of this name, and ``force`` is not given.
    StoreError
        The folder cannot be written.
    """
    file = baseline_file(folder, baseline.name)
    target, content = place(file), as_text(baseline).encode()
    if force:
        target.replace(content)
    elif not target.create(content):
        raise BaselineError(f"{file} exists; take another name, or replace it with --force")
    return file


def read_baseline(folder: Path, name: str) -> Baseline:
    """Read the baseline ``name``.

    Raises
    ------
    BaselineError
        There is none, it is damaged, or another version wrote it.
    """
    file = baseline_file(folder, name)
    try:
        return _parsed(file)
    except FileNotFoundError as error:
        names = [found.stem for found in folder.glob("*.json")]
        hint = nearest(name, names) if names else "there is none yet"
        raise BaselineError(
            f"no baseline {file}; {hint}. Save one with: ptychosuite baseline save {name} STUDY"
        ) from error


def baselines(folder: Path) -> list[Baseline]:
    """All baselines of ``folder``, in the order of their names; none where there is no folder.

    Raises
    ------
    BaselineError
        One of them is damaged, or another version wrote it.
    """
    return [_parsed(file) for file in sorted(folder.glob("*.json"))]


def as_text(baseline: Baseline) -> str:
    """The file's content: JSON with a short block of lines a run, in the study's order."""
    head = {"schema": SCHEMA, **{key: value for key, value in vars(baseline).items() if key != "runs"}}
    runs = ",\n".join(_run_text(run) for run in baseline.runs)
    return f'{json.dumps(head, indent=1, ensure_ascii=False)[:-2]},\n "runs": [\n{runs}\n ]\n}}\n'


def _run_text(run: RunFigures) -> str:
    lines = [
        f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in asdict(run).items()
    ]
    return "  {" + ",\n   ".join(lines) + "}"


def _parsed(file: Path) -> Baseline:
    """Read a baseline's file; whatever is wrong with it is said in one way."""
    restore = "restore it (git checkout), or save it again with --force"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        schema = data.pop("schema")
        if schema == SCHEMA:
            runs = tuple(RunFigures(**run) for run in data.pop("runs"))
            return Baseline(**data, runs=runs)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BaselineError(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BaselineError(f"{file} is no baseline, or damaged ({error}); {restore}") from error
    raise BaselineError(
        f"{file} has schema version {schema}; this ptychosuite reads version {SCHEMA}. Save it again with "
        "--force, or use the version that wrote it"
    )


def _ends_by_the_clock(spec: RunSpec) -> bool:
    return spec.stop["seconds"] is not None


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
