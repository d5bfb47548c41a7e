"""Where a command finds the results it is asked about: a study file's, a results folder, a bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptychosuite.commands.planning import planned_study
from ptychosuite.errors import UserError

if TYPE_CHECKING:
    from ptychosuite.analysis.selection import Selection
    from ptychosuite.store.layout import Store

PLANNED = ("study", "title", "text", "overrides", "factors", "constants", "figures", "spec_ids")
"""What a session notes of the plan, the rest being of the computation."""


@contextmanager
def stored_results(study: Path, results: str) -> Iterator[Store]:
    """The results of a study file in the folder ``results``, of a results folder, or in a bundle.

    A bundle is unpacked for as long as the context lasts.

    Raises
    ------
    StudyError, StoreError
        There are none, or the bundle is damaged.
    """
    from ptychosuite.reporting.bundle import is_bundle, opened_bundle
    from ptychosuite.store.layout import Store, results_of
    from ptychosuite.study.study_file import load_study

    if is_bundle(study):
        with opened_bundle(study) as bundle:
            yield bundle.store
    else:
        yield Store.open(study if study.is_dir() else results_of(results, load_study(study).name))


def selected_runs(
    study: Path, settings: Sequence[str], override_file: Path | None, results: str
) -> tuple[Selection, Mapping[str, Any]]:
    """The runs of a study file, or of the latest session of a results folder, and what was planned."""
    from ptychosuite.analysis.selection import latest_session, selection_of, selection_of_plan
    from ptychosuite.cluster.sweep import study_content
    from ptychosuite.store.layout import Store

    if study.is_dir():
        if settings or override_file:
            raise UserError("--set and --override go with a study file, not with a results folder")
        store = Store.open(study)
        session = latest_session(store)
        return selection_of(store, session), {name: session[name] for name in PLANNED}
    planned = planned_study(study, settings, override_file)
    return selection_of_plan(planned, results), study_content(planned)
