"""Runs that are stored, carried out once more somewhere else, and compared."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from ptychosuite.analysis.repetition import (
    WORST_FIRST,
    Comparison,
    Difference,
    Likeness,
    balanced_sample,
    compare,
    exit_code,
    may_be_rounding,
    not_judged,
    varying_paths,
    worst_first,
)
from ptychosuite.analysis.rounding import MOST_NUDGED, NUDGES
from ptychosuite.analysis.verdict import Judgement, worst
from ptychosuite.api.display import Displayed, count_runs, counts_text, html_table, text_table
from ptychosuite.api.following import Progress
from ptychosuite.api.planning import File, Study
from ptychosuite.api.results import Results, open_results
from ptychosuite.api.sweeping import check_terms, connected
from ptychosuite.backends.arrays import BACKENDS, backend
from ptychosuite.cluster.cluster_file import cluster_settings
from ptychosuite.cluster.connection import ClusterKind
from ptychosuite.cluster.dispatch import run_all
from ptychosuite.cluster.tally import Tally
from ptychosuite.cluster.work import Terms
from ptychosuite.cluster.workers import check_devices
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.errors import BackendError, DataFileError, StoreError, StudyError, UserError
from ptychosuite.execute.interruption import check_interruption, noted_interruptions
from ptychosuite.execute.nudged import nudged
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import factor_names, factor_value, fast_forward_as_one
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.store.layout import Store, place
from ptychosuite.store.place import Place
from ptychosuite.store.planned import RUN_IDS
from ptychosuite.store.read import inventory, last_session, read_run
from ptychosuite.study.estimate import cpu_seconds, footprint
from ptychosuite.study.inputs import with_files_here


@dataclass(frozen=True)
class Stored:
    """A run of the store, without its images."""

    file: Place
    record: RunRecord


@dataclass(frozen=True, repr=False)
class Reproduction(Displayed):
    """Runs compared with what was stored of them. Its text is the table of those that are not identical.

    Parameters
    ----------
    study
        Its name.
    comparisons
        One a run, the worst first.
    specs
        run_id -> specification, of the runs that were carried out again.
    """

    study: str
    comparisons: Sequence[Comparison]
    specs: Mapping[str, RunSpec]

    @property
    def judgement(self) -> Judgement:
        """Good where all came out again, a regression where some differ."""
        return worst(comparison.likeness.judgement for comparison in self.comparisons)

    @property
    def exit_code(self) -> int:
        """0 all reproduced, 1 some different, 3 some (or all) not judged."""
        return exit_code(self.comparisons)

    @property
    def counts(self) -> dict[str, int]:
        """How many runs are different, not judged, within tolerance, identical."""
        counted = Counter(comparison.likeness for comparison in self.comparisons)
        return {str(likeness): counted[likeness] for likeness in WORST_FIRST if counted[likeness]}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        specs = {run_id: spec.to_dict() for run_id, spec in self.specs.items()}
        listed = [{**each.to_dict(), "spec": specs.get(each.run_id)} for each in self.comparisons]
        return {"study": self.study, "counts": self.counts, "runs": listed}

    def text(self, show_all: bool = False) -> str:
        """The table (with the identical runs where ``show_all``), what has changed, and the counts."""
        header, rows = self._table(show_all)
        table = [text_table(header, rows), ""] if rows else []
        return "\n".join([*table, *self._changes(), self._counts])

    def __len__(self) -> int:
        return len(self.comparisons)

    def __iter__(self) -> Iterator[Comparison]:
        return iter(self.comparisons)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return f"<Reproduction of '{self.study}': {self._counts}>"

    def _repr_html_(self) -> str:
        return html_table(*self._table(False), below=self._counts)

    @property
    def _counts(self) -> str:
        return f"{count_runs(len(self))}: {counts_text(self.counts)}"

    def _table(self, show_all: bool) -> tuple[list[str], list[list[str]]]:
        names = factor_names(varying_paths(list(self.specs.values())))
        leaves = {run_id: fast_forward_as_one(spec.leaves()) for run_id, spec in self.specs.items()}
        rows = []
        for comparison in self.comparisons:
            if comparison.likeness is Likeness.IDENTICAL and not show_all:
                continue
            run = leaves.get(comparison.run_id, {})
            values = [factor_value(run, path) for path in names]
            factors = ["" if value is None else str(value) for value in values]
            rows.append([comparison.run_id[:8], *factors, str(comparison.likeness), _in_words(comparison)])
        return ["run", *names.values(), "again", ""], rows

    def _changes(self) -> list[str]:
        """What has changed since the runs were computed, each change once."""
        changes = Counter((what, *values) for c in self.comparisons for what, values in c.changed.items())
        if not changes:
            return []
        lines = ["changed since then:"]
        for (what, then, now), count in changes.items():
            runs = "" if count == len(self) else f" ({count_runs(count)})"
            lines.append(f"  {what}: {then or 'none'} -> {now or 'none'}{runs}")
        return [*lines, ""]


def _in_words(comparison: Comparison) -> str:
    """What there is to say of one run, in a line."""
    said = [comparison.message] if comparison.message else []
    if comparison.largest is not None:
        said.append(_difference_in_words(comparison.largest))
    if comparison.first_beyond is not None:
        said.append(f"beyond it from iteration {comparison.first_beyond} on")
    return "; ".join(said)


def _difference_in_words(difference: Difference) -> str:
    where = "" if difference.iteration is None else f" after {difference.iteration}"
    far = f"off by {difference.relative:.1e}" if difference.relative < float("inf") else "cannot be compared"
    return f"{difference.quantity}{where} {far}, tolerance {difference.tolerance:.1e}"


def reproduce(
    study: Study,
    *,
    sample: int | None = None,
    draw: int = 0,
    results: File = "results",
    cluster: str = "local",
    workers: int | None = None,
    backend: str | None = None,
    data: File | None = None,
    progress: bool | Progress = True,
) -> Reproduction:
    """Run what is stored of a study again, and say run by run whether the same comes out.

    The specifications are those that are stored with the runs; results are never touched.

    Parameters
    ----------
    study, results
        As of :func:`~ptychosuite.api.results.open_results`.
    sample, draw
        Only so many runs, drawn so that solvers and factors come up evenly, and which sample to draw.
    cluster, workers, progress
        As of :func:`~ptychosuite.api.sweeping.run`.
    backend
        Carry the runs out on another backend than their own.
    data
        Folder with data files that are no longer where they were.

    Raises
    ------
    StoreError
        There are no runs yet.
    """
    shown = Progress.of(progress)
    kind, terms = cluster_settings(cluster, workers), Terms(footprint=footprint, cost=cpu_seconds)
    check_terms(terms, kind)
    if backend is not None and (kind.on_this_machine or backend not in BACKENDS):
        _refuse_missing(backend)
    with open_results(study, results=results) as opened:
        store = opened.store
        name = store.root.name
        runs, unreadable = _runs_of_study(opened)
        if not runs and not unreadable:
            raise StoreError(f"{store.root} has no runs yet; run the study first: ptychosuite run STUDY")
        chosen = _sampled(runs, sample, draw) if sample else runs
        shown.say(f"{name}: {len(chosen)} of {count_runs(len(runs))} to carry out again")
        repeating = _Repeating(kind, terms, backend, Path(data) if data else None, shown)
        found = list(repeating.comparisons(chosen, beside=place(str(results)) / f".{name}"))
    found += [Comparison(run_id, "", Likeness.UNDECIDED, message=why) for run_id, why in unreadable.items()]
    specs = {run.record.run_id: run.record.spec for run in chosen}
    return Reproduction(name, worst_first(found), specs)


def _refuse_missing(name: str) -> None:
    backend(name)


def _runs_of_study(opened: Results) -> tuple[list[Stored], dict[str, str]]:
    """The runs that the latest session planned, and why a file (by its run) cannot be read.

    What a study file says now does not matter. Where the session names none that is there, as those of
    earlier versions, it is the latest run of every specification.
    """
    stored = inventory(opened.store)  # not what was computed elsewhere: nobody here can repeat it
    held = {**stored.files, **stored.damaged}
    planned = held.keys() & {*last_session(opened.store).get(RUN_IDS, ())} or held.keys()
    newest: dict[str, Stored] = {}
    unreadable: dict[str, str] = {}
    for run_id, file in held.items():
        if run_id not in planned:
            continue
        try:
            run = Stored(file, read_run(file, images=False))
        except StoreError as error:
            unreadable[run_id] = str(error)
            continue
        other = newest.get(run.record.spec.spec_id)
        if other is None or _start(other) <= _start(run):
            newest[run.record.spec.spec_id] = run
    return sorted(newest.values(), key=lambda run: (run.record.spec.solver["name"], _start(run))), unreadable


def _start(run: Stored) -> str:
    return str(run.record.provenance.get("start", ""))


def _sampled(runs: Sequence[Stored], count: int, seed: int) -> list[Stored]:
    places = balanced_sample([run.record.spec for run in runs], count, seed)
    return [runs[place] for place in places]


@dataclass(frozen=True)
class _Repeating:
    """How runs are carried out again; what is stored stays untouched."""

    kind: ClusterKind
    terms: Terms
    backend: str | None  # in the place of the runs' own
    data: Path | None  # folder with data files that have moved
    progress: Progress

    def comparisons(self, runs: Sequence[Stored], beside: Place) -> Iterator[Comparison]:
        """Carry out ``runs`` again and compare each with what is stored.

        What is computed lies in a temporary folder: on this machine, or ``beside`` the results where workers
        are elsewhere.
        """
        specs: dict[str, RunSpec] = {}  # of the runs that can be carried out, by the stored run's id
        for run in runs:
            try:
                read_run(run.file)  # its images too: nothing is computed that has nothing to be compared with
                specs[run.record.run_id] = self._ready(run.record)
            except UserError as error:
                yield not_judged(run.record, str(error))
        with self._scratch(beside) as scratch:
            reasons = self._carry_out(list(specs.values()), scratch) if specs else {}
            files, differing = inventory(scratch).files, []
            for run in runs:
                spec = specs.get(run.record.run_id)
                if spec is None:
                    continue
                run_id = run_id_of(spec)
                if run_id not in files:
                    yield not_judged(run.record, reasons[spec.spec_id])
                    continue
                again = read_run(files[run_id])
                if again.message.startswith("not begun:"):
                    yield not_judged(run.record, again.message.removeprefix("not begun: "))
                    continue
                found = _beside_stored(run, again)
                if may_be_rounding(found):
                    differing.append((run, files[run_id], found))  # not their images: they may be many
                else:
                    yield found
            yield from self._beside_rounding(differing)

    def _beside_rounding(self, differing: Sequence[tuple[Stored, Place, Comparison]]) -> Iterator[Comparison]:
        """Runs that differ by their numbers: a few of them compared with what rounding does to them here."""
        if not 0 < len(differing) <= MOST_NUDGED or not self.kind.on_this_machine:
            yield from (found for _, _, found in differing)
            return
        how_many = count_runs(len(differing))
        self.progress.say(f"{how_many} beyond the tolerance: how far does rounding carry them here?")
        for run, file, found in differing:
            again = read_run(file)
            try:
                nudges = [nudged(again.spec, number) for number in range(NUDGES)]
            except (BackendError, DataFileError):
                yield found
            else:
                yield _beside_stored(run, again, nudges)

    def _ready(self, record: RunRecord) -> RunSpec:
        """What is carried out in the place of a stored run.

        Raises
        ------
        UserError
            It cannot be: a file or a device is gone, or only the clock had ended it.
        """
        if record.status is Status.TIMED_OUT:
            raise UserError("it was stopped by its time limit then, and has no result")
        spec = with_files_here(record.spec, self.data)
        try:
            registry.build("solvers", spec.solver)
        except TypeError as error:
            name = spec.solver["name"]
            raise StudyError(f"this version's {name} has other settings: {error}") from error
        if self.backend is not None:
            spec = replace(spec, backend=self.backend)
        if self.kind.on_this_machine:
            backend(spec.backend)
        return spec

    @contextmanager
    def _scratch(self, beside: Place) -> Iterator[Store]:
        """A results folder that is gone afterwards."""
        if self.kind.on_this_machine:
            with tempfile.TemporaryDirectory(prefix="ptychosuite-") as folder:
                yield Store.create(Path(folder) / "again")
            return
        root = place(f"{beside}.again-{os.getpid()}")
        try:
            yield Store.create(str(root))
        finally:
            root.delete()

    def _carry_out(self, specs: Sequence[RunSpec], scratch: Store) -> Mapping[str, str]:
        """Carry out ``specs``; why (by specification) those could not be that were not.

        What one solver cannot get past (its package is missing) does not keep the others from their runs.
        """
        try:
            self._follow(specs, scratch)
            return {}
        except (BackendError, DataFileError) as error:
            ended = inventory(scratch).files
            left = sorted((spec for spec in specs if run_id_of(spec) not in ended), key=_solver)
            groups = [list(group) for _, group in groupby(left, key=_solver)]
            if len(groups) == 1:
                return {spec.spec_id: str(error) for spec in left}
            reasons: dict[str, str] = {}
            for group in groups:
                reasons |= self._carry_out(group, scratch)
            return reasons

    def _follow(self, specs: Sequence[RunSpec], scratch: Store) -> None:
        with (
            connected(self.kind, self.progress, str(scratch.root)) as (connection, shown),
            noted_interruptions(),
        ):
            check_devices({spec.backend for spec in specs}, connection.offers)
            tally = Tally.of(specs, self.terms.cost, connection.waits)
            shown.begin(tally)
            for summary in run_all(connection, specs, scratch, self.terms):
                tally.note(summary)
                shown.ended(tally, summary)
                check_interruption()


def _beside_stored(run: Stored, again: RunRecord, nudges: Sequence[RunRecord] = ()) -> Comparison:
    """A run carried out again beside what is stored; not judged where that has been damaged meanwhile."""
    try:
        stored = read_run(run.file)
    except StoreError as error:
        return not_judged(run.record, str(error))
    return compare(stored, again, nudges)


def _solver(spec: RunSpec) -> str:
    return spec.solver_name
