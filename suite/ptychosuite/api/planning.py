"""What a caller means by a study, what it would compute, what of it is done, what the rest will cost."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from ptychosuite.analysis.to_do import Why, in_lines, why_to_do
from ptychosuite.api.display import (
    Displayed,
    count_runs,
    duration,
    html_table,
    size_text,
    text_table,
)
from ptychosuite.api.extending import Extensions, extensions
from ptychosuite.api.tuning import NotTuned, in_words, settled_plan
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import StoreError, StudyError
from ptychosuite.registry.factors import factor_names, factor_value, value_in_words
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.read import Inventory, Standing, inventory, read_run
from ptychosuite.study.choice import Choice, Share
from ptychosuite.study.estimate import Estimate, Measured, estimate
from ptychosuite.study.planned_light import PlannedLight
from ptychosuite.study.shipped import located
from ptychosuite.study.study_file import (
    Override,
    StudyFile,
    load_overrides,
    load_study,
    parse_override,
    plain_data,
    study_of,
)

File = str | os.PathLike[str]
Study = File | Mapping[str, Any]
"""The path of a study file, the name of a study that comes with ptychosuite, or what a file holds.

Relative paths in a dict count from the working directory.
"""

Settings = Mapping[str, Any] | Sequence[str] | Sequence[Override]
"""Overrides: dotted paths with their values, or texts such as "problem.noise=0.1"."""


def read_study(study: Study, settings: Settings = (), override_file: File | None = None) -> StudyFile:
    """The study with the overrides of a file and of ``settings``, in this order.

    Raises
    ------
    StudyError
        It cannot be read, or its outline is wrong: with line and column of a file, or the dotted key of data.
    """
    written = load_overrides(located(Path(override_file))) if override_file else ()
    overrides = [*written, *overrides_of(settings)]
    if isinstance(study, Mapping):
        return study_of(study, overrides)
    path = located(Path(study))
    if path.is_dir():
        raise StudyError(f"{path} is a folder; name a study file, as in studies/quickstart.yaml")
    return load_study(path, overrides)


def plan_of(
    study: Study, settings: Settings = (), override_file: File | None = None, results: File = "results"
) -> Plan:
    """The runs of a study, checked, with the settings that its tries in ``results`` have found.

    Raises
    ------
    NotTuned
        It has tries, and not all have ended.
    StudyError
        With the place in the file, of anything that is wrong.
    """
    return settled_plan(read_study(study, settings, override_file), str(results))


def overrides_of(settings: Settings) -> list[Override]:
    """Settings in any of their forms as overrides.

    Raises
    ------
    StudyError
        A text is not PATH=VALUE, or a value is none that a study could have.
    """
    if isinstance(settings, Mapping):
        return [
            Override(path, plain_data(value, (path,)), f"settings: {path}={value!r}")
            for path, value in settings.items()
        ]
    given = [settings] if isinstance(settings, str) else settings
    return [each if isinstance(each, Override) else parse_override(each) for each in given]


def chosen_by(
    where: str = "",
    first: int | None = None,
    sample: int | None = None,
    shard: str | None = None,
    runs: Sequence[str] = (),
) -> Choice:
    """What chooses among the runs of a plan, from arguments as :func:`plan` has them.

    Raises
    ------
    StudyError
        A number is below 1, or ``shard`` is no I/N.
    """
    return Choice(where, tuple(runs), sample, first, Share.of(shard) if shard else None)


SHOWN_RUNS = 40
MOST_LOOKED_AT = 500  # stored files, in less than a second
MEASURED_RUNS = 30  # of which is read how long they took


@dataclass(frozen=True, repr=False)
class StudyPlan(Displayed):
    """A study expanded, beside what its results folder holds. Its text is the table of its runs.

    Parameters
    ----------
    plan
        Runs, of which only the chosen are here, factors and figures.
    results
        Where the results are or will be: a folder or an s3:// address.
    held
        Files of the runs that are done or have failed, of this study and of earlier versions of it.
    choice
        What has chosen the runs.
    planned
        How many the study has.
    note
        What follows these runs, where they are tries.
    """

    plan: Plan
    results: str
    held: Inventory
    choice: Choice
    planned: int
    note: str = ""

    @cached_property
    def why(self) -> Why:
        """run_id -> the reasons for it to be to do: what is new, which settings and files have changed."""
        return why_to_do(self.plan, Store.find(self.results))

    def __len__(self) -> int:
        return len(self.plan.runs)

    @property
    def runs(self) -> Mapping[str, RunSpec]:
        """run_id -> specification, in the study's order."""
        return dict(zip(self.plan.run_ids, self.plan.runs, strict=True))

    @property
    def states(self) -> Mapping[str, str]:
        """run_id -> "done", "failed" (``run`` leaves them alone unless told to retry them) or "to do"."""
        return {run_id: self._state(run_id) for run_id in self.plan.run_ids}

    @property
    def standing(self) -> Standing:
        """How many of the runs are done, have failed, and are to do."""
        return Standing.of(self.plan.run_ids, self.held)

    @cached_property
    def extensions(self) -> Extensions:
        """Which of the remaining runs ``run --extend`` takes on from stored runs that stopped sooner."""
        store = Store.find(self.results)
        return extensions(self.plan, store, self.held) if store else Extensions()

    @cached_property
    def remaining(self) -> tuple[RunSpec, ...]:
        """The runs to do, as ``run`` would do them: failed ones are not among them."""
        return self.plan.remaining(self.held.files)

    @cached_property
    def cost(self) -> Estimate:
        """What the remaining runs take on one core, as others in the folder took, or as assumed."""
        return estimate(self.remaining, self._measured())

    @cached_property
    def light(self) -> PlannedLight | None:
        """How far the light of simulated scans overlaps; None where there are none."""
        return PlannedLight.of(self.plan.runs)

    def _measured(self) -> Measured:
        """What the runs took that are done: a sample of many, spread over all."""
        done = [self.held.done[run_id] for run_id in self.plan.run_ids if run_id in self.held.done]
        records = []
        for file in done[:: max(1, len(done) // MEASURED_RUNS)] if self.remaining else ():
            with suppress(StoreError):  # a damaged file is told by who needs it
                records.append(read_run(file, images=False))
        return Measured.of(records)

    def text(self, limit: int | None = None, hint: str = "") -> str:
        """The table of at most ``limit`` runs and the summary; ``hint`` follows where runs were left out."""
        table = [text_table(*self._table(limit))]
        if limit is not None and len(self) > limit:
            table.append(f"... and {len(self) - limit} more{hint}")
        warnings = [f"warning: {warning}" for warning in self.plan.warnings]
        tuned = [*filter(None, [self.note]), *in_words(self.plan.tuned)]
        light = [str(self.light)] if self.light else []
        return "\n".join([*table, "", self.summary, *light, *tuned, *self._extendable, *warnings])

    @property
    def summary(self) -> str:
        """How many runs there are, are done, and are to do, and their cost."""
        runs = chosen_text(len(self), self.planned, self.choice)
        counts = f"{self.plan.title}: {runs}, {self.standing}"
        if not self.remaining:
            return counts
        return (
            f"{counts}\n{self.cost.time_text(duration(self.cost.cpu_seconds))}, "
            f"about {size_text(self.cost.memory_bytes)} of memory a run, "
            f"{size_text(self.cost.disk_bytes)} on disk in {self.results}"
        )

    @property
    def reasons(self) -> str:
        """Why runs are to do, in at most ten lines: each reason once with the number of runs.

        Where stored runs stopped sooner, why they cannot be gone on from follows.
        """
        return "\n".join([*in_lines(self.why), *filter(None, [self.extensions.refusals])])

    def to_dict(self, why: bool = False) -> dict[str, Any]:
        """Plain data for JSON; with the reasons for what is to do, where ``why`` asks for them."""
        runs = [
            {"run_id": run_id, "spec_id": spec.spec_id, "state": self._state(run_id), "spec": spec.to_dict()}
            | (self._why(run_id) if why else {})
            for run_id, spec in self.runs.items()
        ]
        return {
            "study": self.plan.name,
            "results": self.results,
            "note": self.note,
            "warnings": [*self.plan.warnings],
            "planned": self.planned,
            "chosen_by": self.choice.options,
            "runs": runs,
            "counts": self.standing.to_dict(),
            "remaining": len(self.remaining),
            "cpu_seconds": self.cost.cpu_seconds,
            "cpu_seconds_basis": self.cost.basis,
            "disk_bytes": self.cost.disk_bytes,
            "memory_bytes": self.cost.memory_bytes,
            "light_overlap": self.light and list(self.light.light),
        }

    def _why(self, run_id: str) -> dict[str, Any]:
        reasons = self.why.get(run_id, ())
        told = {"why": "; ".join(map(str, reasons)), "reasons": [asdict(reason) for reason in reasons]}
        extended = {
            "from": self.extensions.earlier.get(run_id),
            "refused": self.extensions.refused.get(run_id),
        }
        extend = {key: value for key, value in extended.items() if value}
        return told | ({"extend": extend} if extend else {})

    @property
    def _extendable(self) -> list[str]:
        """That runs can be gone on with; not looked at where many files would have to be read for it."""
        if not self.remaining or len(self.held.files.keys() - {*self.plan.run_ids}) > MOST_LOOKED_AT:
            return []
        number = len(self.extensions.earlier)
        one = "1 of them goes" if number == 1 else f"{number} of them go"
        return [f"{one} on from stored runs that stopped sooner with: run --extend"] if number else []

    def __str__(self) -> str:
        return self.text(SHOWN_RUNS, "; text() lists them")

    def __repr__(self) -> str:
        return f"<StudyPlan of '{self.plan.name}': {self._counts}>"

    def _repr_html_(self) -> str:
        more = f"... and {len(self) - SHOWN_RUNS} more. " if len(self) > SHOWN_RUNS else ""
        return html_table(*self._table(SHOWN_RUNS), below=more + self.summary)

    @property
    def _counts(self) -> str:
        return ", ".join(f"{number} {state}" for state, number in Counter(self.states.values()).items())

    def _state(self, run_id: str) -> str:
        return "done" if run_id in self.held.done else "failed" if run_id in self.held.failed else "to do"

    def _table(self, limit: int | None) -> tuple[list[str], list[list[str]]]:
        names = factor_names(self.plan.factors)
        rows = []
        for run_id, spec in islice(zip(self.plan.run_ids, self.plan.runs, strict=True), limit):
            leaves = spec.leaves()
            values = [value_in_words(factor_value(leaves, path)) for path in names]
            rows.append([run_id[:8], *values, str(spec.stop["iterations"]), self._state(run_id)])
        return ["run", *names.values(), "iterations", "state"], rows


def chosen_text(number: int, planned: int, choice: Choice) -> str:
    """How many runs there are, and what has chosen them, "3 of 40 runs (--first 3)"."""
    return f"{number} of {count_runs(planned)} ({choice.options})" if choice else count_runs(planned)


def plan(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    where: str = "",
    first: int | None = None,
    sample: int | None = None,
    shard: str | None = None,
) -> StudyPlan:
    """Check a study and say what it would compute; nothing is run.

    Of a study that is tuned these are its tries, as long as not all have ended.

    Parameters
    ----------
    study
        Path of a study file, or the same as a dict, whose relative paths count from the working directory.
    settings
        Overrides: ``{"problem.noise": 0.1}`` or ``["problem.noise=0.1"]``.
    override_file
        A YAML file of overrides, applied before ``settings``.
    results
        Folder that holds a results folder for each study, or ``s3://bucket/prefix``.
    where
        Only runs that meet this condition: "noise < 0.2 and solver == magpie", by the names that tables show.
    first
        Only so many, in the study's order.
    sample
        Only so many, drawn at random and always the same.
    shard
        Only one of several equal parts, "2/8", for jobs that know nothing of each other; "auto" in an array.

    Raises
    ------
    StudyError
        What is wrong, with file, line and column; of a dict, with its dotted key. No run meets ``where``.
    """
    choice, note = chosen_by(where, first, sample, shard), ""
    try:
        planned = plan_of(study, settings, override_file, results)
    except NotTuned as error:
        planned, choice, note = error.tuning.plan, choice.share_alone, error.what_follows
    root = results_of(str(results), planned.name)
    store = Store.find(root)
    held = inventory(store) if store else Inventory({}, {})
    return StudyPlan(choice.of(planned), root, held, choice, len(planned.runs), note)
