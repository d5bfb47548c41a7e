"""A report that is drawn anew while its sweep is under way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import sleep

from ptychosuite.analysis.tables import open_dataset
from ptychosuite.api.display import count_runs
from ptychosuite.api.following import Progress
from ptychosuite.api.planning import File, Settings, Study, plan_of
from ptychosuite.api.publishing import Page, report
from ptychosuite.errors import UserError
from ptychosuite.reporting.bundle import is_bundle
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.read import inventory, latest_session

EVERY_S = 10.0


@dataclass(frozen=True)
class DrawnReport:
    """A report as it was drawn on the way.

    Parameters
    ----------
    runs, planned
        How many runs it has, of how many.
    page
        None where it could not be drawn.
    problem
        Why it could not.
    """

    runs: int
    planned: int
    page: Page | None = None
    problem: str = ""

    @property
    def is_last(self) -> bool:
        """Whether all planned runs are there, failed ones too."""
        return self.runs >= self.planned

    def __str__(self) -> str:
        told = f"not drawn: {self.problem}" if self.page is None else str(self.page)
        return f"{self.runs} of {count_runs(self.planned)}: {told}"


@dataclass(frozen=True)
class _Watched:
    """What is looked at again and again: a study's results folder, which may not be there yet."""

    address: str
    run_ids: Sequence[str] | None  # None: those of the latest session

    @classmethod
    def of(cls, study: Study, settings: Settings, override_file: File | None, results: File) -> _Watched:
        if not isinstance(study, Mapping) and is_bundle(Path(study)):
            raise UserError(f"{study} is a bundle, which does not change; watch a study or a results folder")
        if not isinstance(study, Mapping) and Path(study).is_dir():
            return cls(str(study), None)
        plan = plan_of(study, settings, override_file, results)
        return cls(results_of(str(results), plan.name), plan.run_ids)

    def files(self) -> frozenset[str]:
        """The run files that are there; of a run that failed, its latest try."""
        store = Store.find(self.address)
        return frozenset(map(str, inventory(store).files.values())) if store else frozenset()

    def counts(self) -> tuple[int, int]:
        """Planned runs that are there, and all of them."""
        store = Store.open(self.address)
        if self.run_ids is not None:
            return len({*self.run_ids} & inventory(store).files.keys()), len(self.run_ids)
        planned = latest_session(store)["spec_ids"]
        return len({*planned} & {*open_dataset(store)["spec_id"].values.tolist()}), len(planned)


def watch(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    out: File = "reports",
    every_s: float = EVERY_S,
    progress: bool | Progress = True,
) -> Iterator[DrawnReport]:
    """Draw the report of a study whenever there are new results, until all planned runs are there.

    Each time what has been drawn is given back; between the times the generator waits. The page is there and
    whole at any time, and loads itself anew until all runs are there: stop asking, or interrupt, whenever you
    like. Where there are no results yet, it waits for the first.

    Parameters
    ----------
    study, settings, override_file, results, out
        As of :func:`~ptychosuite.api.publishing.report`; a bundle does not change.
    every_s
        Time between two looks at the results folder, in seconds.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    UserError
        The study cannot be read, or the last report cannot be drawn. Where one on the way cannot, it is said
        in what is given back.
    """
    watched = _Watched.of(study, settings, override_file, results)
    shown = Progress.of(progress)
    seen: frozenset[str] = frozenset()
    while True:
        files = watched.files()
        if files == seen:
            with shown.status(f"waiting for results in {watched.address}"):
                while (files := watched.files()) == seen:
                    sleep(every_s)
        seen = files
        drawn = DrawnReport(*watched.counts())
        try:
            page = report(
                study, settings, override_file=override_file, results=results, out=out, reload_s=every_s,
                progress=shown,
            )  # fmt: skip
            drawn = DrawnReport(drawn.runs, drawn.planned, page)
        except UserError as error:
            if drawn.is_last:
                raise
            drawn = DrawnReport(drawn.runs, drawn.planned, problem=str(error))
        yield drawn
        if drawn.is_last:
            return
