"""Carrying out what is left of a study, and what is refused before."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import xarray as xr

from ptychosuite.analysis.tables import open_dataset
from ptychosuite.api.display import Displayed, count_runs, counts_text, reason_text
from ptychosuite.api.extending import Extensions, extensions
from ptychosuite.api.following import Bar, Progress, Reading
from ptychosuite.api.planning import File, Settings, Study, chosen_by, chosen_text, read_study
from ptychosuite.api.tuning import NotTuned, in_words, settled_plan
from ptychosuite.backends.arrays import backend
from ptychosuite.cluster.cluster_file import cluster_settings
from ptychosuite.cluster.connection import ClusterKind, Connection
from ptychosuite.cluster.lost_truths import write_lost_truths
from ptychosuite.cluster.tally import Tally
from ptychosuite.cluster.whole_sweep import note_plan, sweep, to_do
from ptychosuite.cluster.work import Terms
from ptychosuite.cluster.workers import usable_cores
from ptychosuite.core.plan import Plan
from ptychosuite.core.reason import first_line, reason_of
from ptychosuite.core.runs import Lane, RunSpec, Status
from ptychosuite.errors import UserError, printable
from ptychosuite.execute.provenance import machine_memory_bytes
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.planned import study_content
from ptychosuite.store.read import Inventory, Standing, inventory, readable_run
from ptychosuite.store.upkeep import set_aside
from ptychosuite.study.choice import Choice
from ptychosuite.study.estimate import cpu_seconds, footprint
from ptychosuite.study.study_file import StudyFile

SHOWN_FAILURES = 10


@dataclass(frozen=True, repr=False)
class SweepOutcome(Displayed):
    """How the runs of a study stand after a sweep.

    Parameters
    ----------
    plan
        Of the study.
    store
        Its results folder.
    counts
        Status -> how many runs ended so in this sweep.
    before
        How the chosen runs stood before it.
    failed
        run_id of the chosen runs that have failed, in this sweep or before.
    not_begun
        How many runs were not begun, as too many had failed.
    """

    plan: Plan
    store: Store
    counts: Mapping[str, int]
    before: Standing
    failed: Sequence[str]
    not_begun: int

    @property
    def done_before(self) -> int:
        """Chosen runs that were done before it."""
        return self.before.done

    @property
    def results(self) -> str:
        """The results folder, or its address."""
        return str(self.store.root)

    @cached_property
    def failures(self) -> Mapping[str, str]:
        """run_id -> the reason, all lines of its exception, of every run that has failed."""
        files = inventory(self.store).failed
        records = {run_id: readable_run(files[run_id]) for run_id in self.failed}
        return {run_id: reason_of(record.message) if record else "" for run_id, record in records.items()}

    @cached_property
    def dataset(self) -> xr.Dataset:
        """One row a run of the study that has ended; curves are loaded when they are used."""
        return open_dataset(self.store, study_content(self.plan))

    def __str__(self) -> str:
        counts = counts_text(dict(sorted(self.counts.items())))
        if self.not_begun:
            counts = f"{counts}; {count_runs(self.not_begun)} not begun, after so many failures"
        return f"{counts or 'nothing to do'}; results: {self.results}/study.zarr"

    def __repr__(self) -> str:
        lines = [f"<SweepOutcome of '{self.plan.name}': {self}>"]
        shown = list(self.failures.items())[:SHOWN_FAILURES]
        lines += [f"  {run_id}: {printable(first_line(why))}" for run_id, why in shown]
        if len(self.failed) > SHOWN_FAILURES:
            lines.append(f"  ... and {len(self.failed) - SHOWN_FAILURES} more in failures")
        return "\n".join(lines)


@dataclass(frozen=True)
class Sweep:
    """What is left of a study, and how it is to be carried out. Nothing has begun.

    Parameters
    ----------
    plan
        Of the study.
    results
        Where the results go: a folder or an s3:// address.
    specs
        The runs that are to be carried out.
    standing
        How the chosen runs stand; those that are carried out again are to do.
    kind, terms
        Where and how.
    choice, chosen
        What has chosen among the runs of the plan, and the plan with these alone.
    again
        run_id of those that have results, which are set aside first.
    extensions
        Which runs go on from stored ones.
    note
        What follows these runs, where they are tries.
    """

    plan: Plan
    results: str
    specs: Sequence[RunSpec]
    standing: Standing
    kind: ClusterKind
    terms: Terms
    choice: Choice
    chosen: Plan
    again: Collection[str]
    extensions: Extensions
    note: str = ""

    @property
    def are_tries(self) -> bool:
        """Whether the runs are tries, after which those of the study follow."""
        return bool(self.note)

    @property
    def done(self) -> int:
        """Chosen runs that are done, and stay so."""
        return self.standing.done

    @property
    def job_script(self) -> str:
        """What a batch system would be given; empty for other clusters."""
        return self.kind.job_script()

    def __str__(self) -> str:
        runs = chosen_text(len(self.chosen.runs), len(self.plan.runs), self.choice)
        text = f"{self.plan.title}: {runs}, {self.standing}"
        number = len(self.extensions.earlier)
        going_on = f", {number} of them from where stored runs stopped" if number else ""
        told = [text + going_on, self.note, *in_words(self.plan.tuned), self.extensions.refusals]
        return "\n".join(filter(None, told))

    def carry_out(self, progress: bool | Progress = True) -> SweepOutcome:
        """Carry the runs out; finished ones are kept, whatever happens.

        Raises
        ------
        ClusterError, StoreError
            The cluster does not start, or the results cannot be written.
        KeyboardInterrupt
            On Ctrl-C; the same call goes on where this one stopped.
        """
        store = Store.create(self.results)
        tally, writable = Tally({}), bool(self.specs) or not store.unwritable()
        if self.specs:
            store.refuse_unwritable()
            self._set_aside(store, Progress.of(progress))
            with connected(self.kind, Progress.of(progress), self.results) as (connection, shown):
                tally = sweep(
                    self.plan, store, self.specs, connection, sys.argv, shown.ended, self.terms, shown.begin
                )
        elif writable:
            note_plan(self.plan, store, sys.argv)
            compact(store)
        if writable:
            _write_truths(self.plan, store, Progress.of(progress))
        held = inventory(store).failed
        failed = [run_id for run_id in self.chosen.run_ids if run_id in held]
        not_begun = tally.total - tally.ended
        return SweepOutcome(self.plan, store, dict(tally.counts), self.standing, failed, not_begun)

    def _set_aside(self, store: Store, progress: Progress) -> None:
        """Make room for results that are to come anew, or whose files are damaged."""
        held = inventory(store)
        again = [held.done[run_id] for run_id in self.again if run_id in held.done]
        damaged = [held.damaged[run_id] for run_id in self.chosen.run_ids if run_id in held.damaged]
        for file in damaged:
            file.ends_as_zip()  # one that may not be read is its owner's matter
        if again or damaged:
            moved = set_aside(store, [*again, *damaged])
            compact(store)  # its rows stand for files that are no more
        if damaged:
            progress.say(f"{count_runs(len(damaged))} to do again, whose damaged files are now in {moved}")


def _write_truths(plan: Plan, store: Store, progress: Progress) -> None:
    """Write the truths again that are lost, and say so."""
    if written := write_lost_truths(plan, store):
        names = ", ".join(str(store.reference_file(name)) for name in written)
        progress.say(f"written again, as runs are compared with it: {names}")


def prepare(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    cluster: str = "local",
    workers: int | None = None,
    lane: str = "timing",
    stack: int | None = None,
    timeout_s: float | None = None,
    retries: int = 1,
    retry_failed: bool = False,
    retry_diverged: bool = False,
    where: str = "",
    first: int | None = None,
    sample: int | None = None,
    shard: str | None = None,
    force: Sequence[str] = (),
    fail_fast: int | None = None,
    extend: bool = False,
    wait_for_workers_s: float | None = None,
    begin: bool = False,
    after_tries: bool = False,
) -> Sweep:
    """Check a study and the cluster it is to run on; :meth:`Sweep.carry_out` does it.

    Of a study that is tuned these are the tries, until all have ended; :func:`parts` has both.

    Parameters are those of :func:`run`, and errors too. ``begin`` lets worker processes of this machine start
    meanwhile. ``after_tries`` raises NotTuned where tries are left that are another share's or call's.
    """
    kind = cluster_settings(cluster, workers)
    if wait_for_workers_s is not None:
        kind = replace(kind, wait_for_workers_s=wait_for_workers_s)
    terms = Terms(
        Lane(lane), timeout_s, retries, footprint, stack, fail_fast,
        cost=cpu_seconds, wait_for_workers_s=kind.wait_for_workers_s,
    )  # fmt: skip
    check_terms(terms, kind)
    choice = chosen_by(where, first, sample, shard, force)
    if begin:
        kind.prepare()
    written = read_study(study, settings, override_file)
    planned, choice, note = _next(written, str(results), choice, retry_failed, after_tries)
    chosen = choice.of(planned)
    if kind.on_this_machine:
        _check_machine(chosen, kind)
    root = results_of(str(results), planned.name)
    begun = Store.find(root)
    held = inventory(begun) if begun else Inventory({}, {})
    again = {*(chosen.run_ids if choice.runs else ()), *(_diverged(chosen, held) if retry_diverged else ())}
    anew = again.union(held.failed if retry_failed else ())
    standing = Standing.of(chosen.run_ids, held, anew)
    specs = to_do(chosen, begun, retry_failed, again) if begun else chosen.runs
    on = extensions(planned, begun, held, specs) if extend and begun else Extensions()
    terms = replace(terms, extended=on.earlier)
    return Sweep(planned, root, specs, standing, kind, terms, choice, chosen, again, on, note)


def _next(
    study: StudyFile, results: str, choice: Choice, retry_failed: bool, after_tries: bool
) -> tuple[Plan, Choice, str]:
    """The tries of a study, while they have not ended, or its runs; what chooses among them; what follows."""
    try:
        return settled_plan(study, results, retry_failed and not after_tries), choice, ""
    except NotTuned as error:
        if after_tries:
            raise
        return error.tuning.plan, choice.share_alone, error.what_follows


def parts(study: Study, settings: Settings = (), **asked: Any) -> Iterator[Sweep]:
    """The tries of a study that is tuned, then its runs: to be carried out before the next is asked for.

    Parameters are those of :func:`prepare`.

    Raises
    ------
    NotTuned
        Tries have not ended that are another share's or another call's.
    """
    sweep = prepare(study, settings, **asked)
    yield sweep
    if sweep.are_tries:
        yield prepare(study, settings, **asked, after_tries=True)


def _diverged(chosen: Plan, held: Inventory) -> Iterator[str]:
    """run_id of the chosen runs that have diverged."""
    done = held.done
    for run_id in chosen.run_ids:
        record = readable_run(done[run_id]) if run_id in done else None
        if record and record.status is Status.DIVERGED:
            yield run_id


def run(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    cluster: str = "local",
    workers: int | None = None,
    lane: str = "timing",
    stack: int | None = None,
    timeout_s: float | None = None,
    retries: int = 1,
    retry_failed: bool = False,
    retry_diverged: bool = False,
    where: str = "",
    first: int | None = None,
    sample: int | None = None,
    shard: str | None = None,
    force: Sequence[str] = (),
    fail_fast: int | None = None,
    extend: bool = False,
    wait_for_workers_s: float | None = None,
    progress: bool | Progress = True,
) -> SweepOutcome:
    """Carry out the runs of a study that are not done yet.

    Parameters
    ----------
    study, settings, override_file, results, where, first, sample, shard
        As of :func:`~ptychosuite.api.planning.plan`.
    cluster, workers
        "none" (this process), "local" (processes here), "cuda", "slurm", a cluster file, an address; workers.
    lane, stack
        "timing" (each run alone on its core or device) or "throughput", which may stack runs of equal shape.
    timeout_s, retries
        Seconds after which a run is stopped; times to try a run again whose worker died under it.
    retry_failed, retry_diverged, extend
        Try failed (or timed-out) runs again, diverged ones; go on from stored runs that stopped sooner.
    force, fail_fast, wait_for_workers_s
        Ids of runs to carry out, results or not; failures to stop after; time to wait without a worker.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    UserError
        The study, the cluster or the results folder will not do.
    KeyboardInterrupt
        On Ctrl-C; finished runs are kept, and the same call goes on from there.
    """
    shown = Progress.of(progress)
    for part in parts(
        study, settings, override_file=override_file, results=results, cluster=cluster, workers=workers,
        lane=lane, stack=stack, timeout_s=timeout_s, retries=retries, retry_failed=retry_failed,
        retry_diverged=retry_diverged, where=where, first=first, sample=sample, shard=shard, force=force,
        fail_fast=fail_fast, extend=extend, wait_for_workers_s=wait_for_workers_s, begin=True,
    ):  # fmt: skip
        shown.say(str(part))
        outcome = part.carry_out(shown)
    return outcome


@contextmanager
def connected(
    kind: ClusterKind, progress: Progress, results: str = ""
) -> Iterator[tuple[Connection, Followed]]:
    """A cluster of ``kind`` that is up, and what shows the progress of runs on it, whose results go there."""
    with ExitStack() as stack:
        with progress.status("starting the cluster"):
            connection = stack.enter_context(kind.connect())
        if connection.client is not None:
            link = f"; dashboard: {connection.dashboard}" if connection.dashboard else ""
            progress.say(f"{connection.description}{link}")
        bar = stack.enter_context(progress.bar("runs"))
        connection.waits.say = bar.tell

        yield connection, Followed(bar, results)


@dataclass(frozen=True)
class Followed:
    """Shows how a sweep stands, whose results go to ``results``."""

    bar: Bar
    results: str

    def begin(self, tally: Tally) -> None:
        """Nothing has ended yet."""
        self.bar.follow(lambda: reading_of(tally))

    def ended(self, tally: Tally, summary: Mapping[str, Any]) -> None:
        """A run has ended; of one that failed it is said why."""
        if summary["status"] in (Status.FAILED, Status.TIMED_OUT):
            run_id = summary["run_id"]
            whole = shlex.join(["ptychosuite", "show", self.results, run_id])
            self.bar.tell(f"run {run_id} {summary['status']}: {reason_text(summary['message'], whole)}")
        self.begin(tally)


def reading_of(tally: Tally) -> Reading:
    """What is shown of a sweep."""
    pace = tally.runs_per_second
    told = (f"{tally.failed} failed", "" if pace is None else f"{pace:.2g} runs/s", tally.waits.reason)
    return Reading(tally.ended, tally.total, ", ".join(filter(None, told)), tally.left_s)


def check_terms(terms: Terms, kind: ClusterKind) -> None:
    """Refuse what cannot be promised."""
    if kind.cluster == "none" and terms.timeout_s is not None:
        raise UserError(
            "--timeout needs a worker process that can be ended, and --cluster none has none; "
            "say --cluster local --workers 1"
        )
    if terms.lane is Lane.TIMING and (terms.stack or 1) > 1:
        raise UserError(
            f"--stack {terms.stack}: runs side by side have no times of their own; add --lane throughput"
        )
    workers = kind.processes_here
    if terms.lane is Lane.TIMING and workers > usable_cores():
        raise UserError(
            f"{workers} workers: the timing lane gives each of them a core of its own, and there are "
            f"{usable_cores()}; take fewer workers, or --lane throughput"
        )


def _check_machine(planned: Plan, kind: ClusterKind) -> None:
    """Refuse a study whose array library is not here, or of which no run fits on this computer.

    Single ones that do not fit are refused as their turn comes.
    """
    for name in {spec.backend for spec in planned.runs}:
        backend(name)
    if not planned.runs:
        return
    share = machine_memory_bytes() / kind.processes_here
    lacks = [footprint(spec).lack(share, None) for spec in planned.runs]
    if all(lacks):
        hint = " for each worker; take fewer workers or a larger computer" if kind.processes_here > 1 else ""
        raise UserError(f"no run fits: the first {lacks[0]}{hint}")
