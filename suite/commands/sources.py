"""Where a command finds the results it is asked about: a study file's, a results folder, a bundle."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from suite.store.layout import Store


@contextmanager
def stored_results(study: Path, results: str) -> Iterator[Store]:
    """The results of a study file in the folder ``results``, of a results folder, or in a bundle.

    A bundle is unpacked for as long as the context lasts.

    Raises
    ------
    StudyError, StoreError
        There are none, or the bundle is damaged.
    """
    from suite.report.bundle import is_bundle, opened_bundle
    from suite.store.layout import Store, results_of
    from suite.study.load import load_study

    if is_bundle(study):
        with opened_bundle(study) as bundle:
            yield bundle.store
    else:
        yield Store.open(study if study.is_dir() else results_of(results, load_study(study).name))
