"""Results that were computed elsewhere, judged as the runs of a study are."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from ptychosuite.api.display import Displayed, text_table
from ptychosuite.api.planning import File, Settings, Study, plan_of
from ptychosuite.core.plan import Plan
from ptychosuite.core.problem import Problem
from ptychosuite.core.runs import RunRecord, RunSpec
from ptychosuite.errors import UserError
from ptychosuite.execute.judged import CODE, imported_spec, judged, problem_on_host
from ptychosuite.metrics.metric import known_metrics
from ptychosuite.problems.outside import read_outside, refuse_other_pixel
from ptychosuite.problems.problem_kind import kind_of
from ptychosuite.registry.factors import factor_names, factor_value, value_in_words
from ptychosuite.registry.fingerprint import fingerprint_of
from ptychosuite.store.compact import compact
from ptychosuite.store.imported import imported_results
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.place import Place
from ptychosuite.store.planned import study_content
from ptychosuite.store.write import write_imported
from ptychosuite.study.choice import Choice

LABEL = re.compile(r"[\w.+-]([\w.+ -]{0,58}[\w.+-])?")
SHOWN_CONDITIONS = 4


@dataclass(frozen=True, repr=False)
class ImportedResult(Displayed):
    """A result from outside, as it was judged and stored.

    Parameters
    ----------
    record
        What is stored: metrics, object, probe, provenance.
    file
        Where.
    condition
        The problem that it is of, by the settings that the study varies.
    is_new
        False where the same numbers had been imported already, and nothing was written.
    """

    record: RunRecord
    file: str
    condition: str
    is_new: bool

    @property
    def run_id(self) -> str:
        """The id under which it is stored."""
        return self.record.run_id

    @property
    def metrics(self) -> Mapping[str, float]:
        """Name -> value."""
        return self.record.metrics

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "run_id": self.run_id,
            "label": self.record.spec.solver_name,
            "condition": self.condition,
            "file": self.file,
            "new": self.is_new,
            "metrics": {name: value if isfinite(value) else None for name, value in self.metrics.items()},
            "message": self.record.message,
            "imported": self.record.provenance["imported"],
        }

    def __str__(self) -> str:
        shown = [metric for metric in known_metrics() if metric.in_summary and metric.name in self.metrics]
        rows = [[metric.label or metric.name, metric.text(self.metrics[metric.name])] for metric in shown]
        state = "judged and stored" if self.is_new else "imported before, nothing has changed"
        head = f"{self.record.spec.solver_name}, of {self.condition}: {state} as {self.run_id[:8]}"
        return "\n".join([text_table(["metric", "value"], rows), "", head, self.record.message, self.file])

    def __repr__(self) -> str:
        return f"<ImportedResult {self.record.spec.solver_name} in {self.file}>"


def import_result(
    study: Study,
    files: File | Sequence[File],
    settings: Settings = (),
    *,
    label: str,
    where: str = "",
    package: str = "",
    version: str = "",
    who: str = "",
    note: str = "",
    object_key: str = "",
    probe_key: str = "",
    override_file: File | None = None,
    results: File = "results",
) -> ImportedResult:
    """Judge object and probe that another program has reconstructed, and keep them with a study's results.

    They get the metrics that a run has at its end and are called ``LABEL (imported)``. They have no seconds,
    curves or iterations, and nothing that counts these has them. The same numbers are imported once, and
    judged again where the code that judges has changed.

    Parameters
    ----------
    study, settings, override_file, results
        As of :func:`~ptychosuite.api.planning.plan`.
    files
        One with object (H, W) and probe, or of object, probe and positions, in this order; a known probe may
        be left out. Positions are (N, 2), row and column in pixels of the first corner of each patch.
    where
        A condition on the study's runs that leaves those of one problem with one seed.
    package, version, who, note
        Which program has computed it, whose result it is, what else there is to say.
    object_key, probe_key
        Names of the arrays, where a file has several and they are not in the usual place of its format.

    Raises
    ------
    StudyError, StoreError
        The condition leaves no problem or several, or the results cannot be written.
    DataFileError
        A file cannot be read, holds NaN, or is of another shape or pixel than the problem.
    UserError
        The label is none, or names another result of the same problem.
    """
    names = _checked(files, label)
    said = {"package": package, "version": version, "who": who, "note": note}
    plan = plan_of(study, settings, override_file, results)
    of = _one_problem(plan, where)
    problem = problem_on_host(of)
    found = read_outside(names, object_key, probe_key, problem)
    refuse_other_pixel(found, kind_of(of.problem).object_pixel_m)
    spec, root = imported_spec(of, label, found.sha256), results_of(str(results), plan.name)
    stored = _stored(Store.find(root), spec)
    if stored is not None and _is_current(stored, spec):
        record, file = stored, Store.open(root).imported_file(stored.run_id)
        return ImportedResult(record, str(file), _in_words(plan, of), is_new=False)
    record = judged(spec, problem, found, {name: text for name, text in said.items() if text})
    file = _write(Store.create(root), record, problem, stored, plan)
    return ImportedResult(record, str(file), _in_words(plan, of), is_new=True)


def _checked(files: File | Sequence[File], label: str) -> list[str]:
    """The whole paths of the files, of which there are as many as there can be."""
    given = [files] if isinstance(files, str | os.PathLike) else list(files)
    names = [os.path.abspath(os.fspath(file)) for file in given]
    if not 1 <= len(names) <= 3:
        raise UserError(
            f"found {len(names)} files; expected one with object and probe, or object, probe and positions"
        )
    if not LABEL.fullmatch(label):
        raise UserError(
            f"--label: found '{label}'; expected at most 60 letters, digits, blanks and '_', '.', '+', '-'"
        )
    return names


def _is_current(stored: RunRecord, spec: RunSpec) -> bool:
    """Whether a stored result has the metrics that are asked for, by the present code."""
    return stored.run_id == spec.run_id(CODE) and stored.provenance.get("code") == fingerprint_of(spec)


def _write(store: Store, record: RunRecord, problem: Problem, earlier: RunRecord | None, plan: Plan) -> Place:
    """Store a result, in the place of the ``earlier`` one of the same numbers, and update the dataset."""
    store.refuse_unwritable()
    file = write_imported(store, record, problem.reference)
    if earlier is not None and earlier.run_id != record.run_id:
        store.imported_file(earlier.run_id).delete()
    compact(store, rebuild=earlier is not None, study=study_content(plan))
    return file


def _one_problem(plan: Plan, where: str) -> RunSpec:
    """A run of the only problem, with one seed, that the condition ``where`` leaves."""
    runs = {run.problem_id: run for run in reversed(Choice(where).of(plan).runs)}
    if len(runs) > 1:
        told = [_in_words(plan, run) for run in [*runs.values()][::-1][:SHOWN_CONDITIONS]]
        more = f" and {len(runs) - len(told)} more" if len(runs) > len(told) else ""
        raise UserError(
            f"{len(runs)} problems are left ({'; '.join(told)}{more}), and a result is of one; say which "
            "with --where, as in --where 'noise == 0.05 and seed == 0'"
        )
    (run,) = runs.values()
    return run


def _in_words(plan: Plan, run: RunSpec) -> str:
    """The problem of a run by what the study varies, as in "noise 0.05, seed 0"."""
    leaves, names = run.leaves(), factor_names(plan.factors)
    paths = [path for path in names if path.startswith("problem.") or path == "seed"]
    return ", ".join(f"{names[path]} {value_in_words(factor_value(leaves, path))}" for path in paths) or (
        "the study's one problem"
    )


def _stored(store: Store | None, spec: RunSpec) -> RunRecord | None:
    """What is stored of the same numbers under the same label, of other metrics too; None where nothing is.

    Raises
    ------
    UserError
        Other numbers are stored under its label.
    """
    for record in imported_results(store) if store else ():
        if record.spec.problem_id != spec.problem_id or record.spec.solver_name != spec.solver_name:
            continue
        if record.spec.solver == spec.solver:
            return record
        raise UserError(
            f"'{spec.solver['label']}' has another result of this problem, {record.run_id[:8]}; give another "
            "label, or first remove its file from the folder 'imported' of the results"
        )
    return None
