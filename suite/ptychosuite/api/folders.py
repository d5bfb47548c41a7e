"""Results folders put in order: cleaned, and merged with others."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ptychosuite.api.display import Displayed, count_runs
from ptychosuite.api.planning import File, Settings, Study, plan_of
from ptychosuite.errors import UserError, nearest
from ptychosuite.store.claims import Claims
from ptychosuite.store.compact import compact
from ptychosuite.store.faults import faults
from ptychosuite.store.layout import Store, results_of
from ptychosuite.store.place import Place
from ptychosuite.store.read import latest_session
from ptychosuite.store.upkeep import UNWANTED, Brought, bring_in, set_aside, unwanted

SHOWN_FILES = 5


@dataclass(frozen=True, repr=False)
class Cleaning(Displayed):
    """What a results folder need not keep. Nothing has been touched.

    Parameters
    ----------
    store
        The results folder.
    found
        Kind ("failed", "superseded", "foreign", "damaged", "orphaned", "leftovers") -> files.
    reasons
        File -> what is wrong with it, of the damaged ones.
    planned
        spec_id of the study's runs.
    """

    store: Store
    found: Mapping[str, Sequence[Place]]
    reasons: Mapping[Place, str] = field(default_factory=dict)
    planned: Collection[str] = ()

    def __len__(self) -> int:
        return sum(map(len, self.found.values()))

    def carry_out(self, delete: bool = False) -> Place | None:
        """Move the files into a new folder below ``removed``, or ``delete`` them, as leftovers always are.

        What has become good since it was found stays: it is looked at again.

        Returns
        -------
        The new folder; None where nothing was moved.

        Raises
        ------
        UserError
            A sweep is at work in the folder, or the disk or the server refuses.
        """
        if Claims(self.store).others():
            raise UserError(f"a sweep is at work in {self.store.root}; clean it when that has ended")
        self.store.refuse_unwritable()
        found = self._still_unwanted()
        files = [file for kind, files in found.items() if kind != "leftovers" for file in files]
        target = set_aside(self.store, files) if files and not delete else None
        for file in (*(files if delete else ()), *found.get("leftovers", ())):
            file.delete()
        if files:
            compact(self.store)
        return target

    def _still_unwanted(self) -> dict[str, list[Place]]:
        """Kind -> those of the files that the folder need not keep now either."""
        now = unwanted(self.store, self.planned, list(faults(self.store)), tuple(self.found))
        return {kind: [file for file in files if file in now[kind]] for kind, files in self.found.items()}

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        found = {kind: [str(file) for file in files] for kind, files in self.found.items()}
        reasons = {str(file): reason for file, reason in self.reasons.items()}
        return {"results": str(self.store.root), "found": found, "reasons": reasons}

    def __str__(self) -> str:
        lines = []
        for kind, files in self.found.items():
            if files:
                lines.append(f"{len(files)} {kind}: {UNWANTED[kind]}")
                lines += [f"    {self.reasons.get(file, file)}" for file in files[:SHOWN_FILES]]
            if len(files) > SHOWN_FILES:
                lines.append(f"    ... and {len(files) - SHOWN_FILES} more")
        return "\n".join(lines or [f"{self.store.root}: nothing to clean"])

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(files)} {kind}" for kind, files in self.found.items() if files)
        return f"<Cleaning of {self.store.root}: {counts or 'nothing'}>"


@dataclass(frozen=True, repr=False)
class Merged(Displayed):
    """What results folders have brought to one.

    Parameters
    ----------
    store
        The folder that they were merged into.
    brought
        Address of each of the others -> what was copied from it.
    """

    store: Store
    brought: Mapping[str, Brought]

    @property
    def damaged(self) -> list[str]:
        """Files that cannot be read, and were left where they are."""
        return [file for each in self.brought.values() for file in each.damaged]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "results": str(self.store.root),
            "from": {address: vars(each) for address, each in self.brought.items()},
        }

    def __str__(self) -> str:
        lines = [
            f"{address}: {count_runs(each.runs)}, {each.failed} failed tries and {each.sessions} sessions "
            f"copied; {count_runs(each.there)} there already"
            for address, each in self.brought.items()
        ]
        return "\n".join([*lines, f"results: {self.store.root}/study.zarr"])

    def __repr__(self) -> str:
        return f"<Merged into {self.store.root}: {len(self.brought)} folders>"


def clean(
    study: Study,
    settings: Settings = (),
    *,
    override_file: File | None = None,
    results: File = "results",
    only: Collection[str] = (),
) -> Cleaning:
    """Say what a results folder need not keep; :meth:`Cleaning.carry_out` sets it aside.

    Parameters
    ----------
    study
        A study, or a results folder, whose latest session then says which runs are the study's.
    settings, override_file, results
        As of :func:`~ptychosuite.api.planning.plan`.
    only
        Kinds of what is found: "failed", "superseded", "foreign", "damaged", "orphaned", "leftovers"; all by
        default.

    Raises
    ------
    UserError
        There are no results, or no such kind.
    """
    for kind in only:
        if kind not in UNWANTED:
            raise UserError(f"'{kind}' is nothing to clean; {nearest(kind, UNWANTED)}")
    store, planned = _store_and_specs(study, settings, override_file, results)
    wrong = list(faults(store))
    found = unwanted(store, planned, wrong, only or tuple(UNWANTED))
    reasons = {fault.file: fault.message for fault in wrong if "damaged" in found and not fault.missing}
    return Cleaning(store, found, reasons, planned)


def merge(into: File, *sources: File) -> Merged:
    """Copy into a results folder the runs and sessions of others that it lacks; what it has stays.

    Parameters
    ----------
    into
        A folder or an s3:// address; made where there is none.
    sources
        Results folders of the same study; they are only read.

    Raises
    ------
    UserError
        A folder holds no results, or those of another study, or cannot be read or written.
    """
    stores = [Store.open(str(source)) for source in sources]
    target = Store.create(str(into))
    return Merged(target, {str(store.root): bring_in(store, target) for store in stores})


def _store_and_specs(
    study: Study, settings: Settings, override_file: File | None, results: File
) -> tuple[Store, Collection[str]]:
    """The results folder, and the spec_id of every run of its study."""
    if isinstance(study, Mapping) or _is_study_file(study):
        planned = plan_of(study, settings, override_file, results)
        return Store.open(results_of(str(results), planned.name)), {run.spec_id for run in planned.runs}
    if settings or override_file:
        raise UserError("--set and --override go with a study file, not with a results folder")
    store = Store.open(str(study))
    return store, set(latest_session(store)["spec_ids"])


def _is_study_file(study: File) -> bool:
    """Whether it is no folder and no address of one."""
    return "://" not in str(study) and not Path(study).is_dir()
