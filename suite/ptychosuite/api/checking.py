"""Whether a study's runs are as good as they were, and what later checks compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptychosuite.analysis.baseline import (
    Baseline,
    RunFigures,
    baseline_file,
    figures_of,
    make_baseline,
    present_runs,
    read_baseline,
    write_baseline,
)
from ptychosuite.analysis.baseline import baselines as baselines_of
from ptychosuite.analysis.published import published_findings, reproduced
from ptychosuite.analysis.quality import quality_findings
from ptychosuite.analysis.rounding import NUDGES, changes, rounding_changes
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.analysis.verdict import Finding, Judgement, Verdict, keep_verdict
from ptychosuite.api.display import Displayed, html_table, text_table
from ptychosuite.api.following import Counted, Progress
from ptychosuite.api.planning import File, Settings, Study, plan_of
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import BackendError, DataFileError, StoreError, UserError
from ptychosuite.execute.nudged import nudged
from ptychosuite.execute.provenance import environment, now
from ptychosuite.reporting.verdict_text import HEADER, junit, markdown, row, sentence, workflow_commands
from ptychosuite.store.layout import Store, results_of
from ptychosuite.timing.compare import Timing, compare_times

SHOWN_FINDINGS = 40
BASELINES = "results/baselines"


@dataclass(frozen=True, repr=False)
class CheckVerdict(Verdict, Displayed):
    """A verdict, and where it is kept beside those of earlier checks. Its text is its table.

    Parameters
    ----------
    file
        Where it is kept; None where it is not.
    not_kept
        Why it could not be kept.
    """

    file: str | None = None
    not_kept: str = ""

    def text(self, show_all: bool = False, hint: str = "") -> str:
        """The findings that are not as before, or all, and a sentence; ``hint`` says how to see the rest."""
        shown = self._shown(show_all)
        limit = len(shown) if show_all else SHOWN_FINDINGS
        lines = [text_table(HEADER, [row(finding) for finding in shown[:limit]])] if shown else []
        if len(shown) > limit:
            lines.append(f"... and {len(shown) - limit} more{hint}")
        return "\n".join([*lines, *([""] if lines else []), sentence(self)])

    def junit(self) -> str:
        """As JUnit XML, for CI servers."""
        return junit(self)

    def markdown(self) -> str:
        """As Markdown."""
        return markdown(self)

    def workflow_commands(self) -> list[str]:
        """As GitHub's annotations, one a line."""
        return list(workflow_commands(self))

    def __str__(self) -> str:
        return self.text(hint="; text(show_all=True) lists them")

    def __repr__(self) -> str:
        return f"<CheckVerdict of '{self.study}': {self.judgement}>"

    def _repr_html_(self) -> str:
        rows = [row(finding) for finding in self._shown(False)[:SHOWN_FINDINGS]]
        return html_table(HEADER, rows, below=sentence(self))

    def _shown(self, show_all: bool) -> list[Finding]:
        return [f for f in self.worst_first if show_all or f.judgement is not Judgement.GOOD]


def check(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    baseline: str | None = None,
    baselines: File = BASELINES,
    time_against: str | None = None,
    published: bool = False,
    progress: bool | Progress = True,
) -> CheckVerdict:
    """Say whether the runs of a study are as good as they were; runs nothing that is missing.

    Of a few runs whose figures have changed it finds how far rounding alone carries them on this machine:
    each is carried out three times more, begun a rounding error aside, and judged by what then remains.

    The verdict is kept in the results folder where there is one that can be written.

    Parameters
    ----------
    study, settings, override_file, results
        As of :func:`~ptychosuite.api.planning.plan`.
    baseline
        Compare the quality of every run with this baseline of the folder ``baselines``.
    time_against
        Time every solver beside this revision, release (ptychosuite==VERSION) or interpreter.
    published
        Compare with what others have found by the study's section ``published``, within its tolerances.
    progress
        Whether to follow the work on stderr or in the notebook.

    Raises
    ------
    UserError
        There is nothing to compare with.
    """
    if baseline is None and time_against is None and not published:
        raise UserError(
            "nothing to compare with; name a baseline, as in --baseline nightly (ptychosuite baseline list), "
            "a revision, as in --time-against HEAD~1, or say --published where the study has such values"
        )
    planned = plan_of(study, settings, override_file, results)
    root = results_of(str(results), planned.name)
    against: dict[str, object] = {}
    findings: list[Finding] = []
    if baseline is not None:
        against, findings = _quality(planned, root, Path(baselines), baseline)
    if time_against is not None:
        timing = _times(planned, time_against, Progress.of(progress))
        against |= {"revision": time_against, "time": timing.against}
        findings += timing.findings
    if published:
        told, values = _published(planned, str(results))
        against |= {"published": told}
        findings += values
    return _kept(Verdict(planned.name, now(), against, environment(), tuple(findings)), root)


def _published(planned: Plan, results: str) -> tuple[str, list[Finding]]:
    """What published values are compared, in words, and what was found."""
    if not planned.published:
        raise UserError(f"{planned.name} has no published values; they stand in its section 'published'")
    found = reproduced(selection_of_plan(planned, results))
    compared = sum(each.outcome.planned > 0 for each in found)
    sources = "; ".join(dict.fromkeys(each.published.source for each in found))
    return f"values, {compared} of {len(found)} compared ({sources})", [*published_findings(found)]


def _quality(planned: Plan, root: str, folder: Path, name: str) -> tuple[dict[str, object], list[Finding]]:
    """What the runs are compared with, and what was found."""
    baseline = read_baseline(folder, name)
    present = present_runs(planned, root)
    found = changes(baseline.environment, present.environment) if present.figures else {}
    against = {
        "baseline": name,
        "commit": baseline.environment.get("git_commit"),
        "when": baseline.when,
        "changed": rounding_changes(found),
    }
    return against, quality_findings(baseline, planned, present, _nudges)


def _nudges(spec: RunSpec, label: str) -> Sequence[RunFigures]:
    """Figures of a run begun a rounding error aside; none where it cannot be carried out here."""
    try:
        return [figures_of(nudged(spec, number), label) for number in range(NUDGES)]
    except (BackendError, DataFileError):
        return ()


def _times(planned: Plan, against: str, progress: Progress) -> Timing:
    """The study's solvers beside those of ``against``; when it is stopped it leaves no process."""
    with progress.bar("cases timed") as bar:
        counted = Counted(bar)
        return compare_times(
            planned,
            against,
            lambda done, total, name: counted.update(done, total, f"next: {name}" if name else ""),
        )


def _kept(verdict: Verdict, root: str) -> CheckVerdict:
    """The verdict, kept if it can be: one that cannot is judged all the same."""
    file, not_kept = None, ""
    try:
        file = str(keep_verdict(Store.open(root), verdict))
    except StoreError as error:
        not_kept = str(error)
    return CheckVerdict(**vars(verdict), file=file, not_kept=not_kept)


def save_baseline(
    name: str,
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    baselines: File = BASELINES,
    force: bool = False,
) -> tuple[Path, Baseline]:
    """Save the quality figures of a study's runs for :func:`check` to compare with: file and content.

    Parameters
    ----------
    name
        Of the baseline.
    study, settings, override_file, results
        As of :func:`~ptychosuite.api.planning.plan`; all runs have to be done with the present code.
    baselines
        Folder of the baselines.
    force
        Replace a baseline of this name.

    Raises
    ------
    BaselineError
        Runs are missing or have failed, or there is one of this name.
    """
    folder = Path(baselines)
    baseline_file(folder, name)
    planned = plan_of(study, settings, override_file, results)
    present = present_runs(planned, results_of(str(results), planned.name))
    made = make_baseline(name, planned, present, now())
    return write_baseline(folder, made, force), made


def list_baselines(folder: File = BASELINES) -> Sequence[Baseline]:
    """All baselines of a folder, in the order of their names; none where there is no folder.

    Parameters
    ----------
    folder
        Folder of the baselines.

    Raises
    ------
    BaselineError
        One of them is damaged, or another version wrote it.
    """
    return baselines_of(Path(folder))
