"""Which of the stored runs are a study's: those that a plan or a session names, never the newest.

A folder may hold more: runs that other code computed, which are superseded, and runs of earlier versions of
the study, which are foreign to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec, digest
from ptychosuite.registry.factors import settings_of_runs
from ptychosuite.registry.fingerprint import fingerprint_of
from ptychosuite.store.layout import Store
from ptychosuite.store.read import CODE, PlannedStudy, inventory, readable_run, sessions

RUN_IDS = "run_ids"
"""What sessions note since runs are picked by it; those of earlier versions do not."""


def study_content(plan: Plan) -> dict[str, Any]:
    """What was planned and is to be drawn, as plain data."""
    return {
        "study": plan.name,
        "title": plan.title,
        "text": plan.text,
        "overrides": list(plan.overrides),
        "factors": dict(plan.factors),
        "constants": dict(plan.constants),
        "figures": list(plan.figures),
        "spec_ids": [spec.spec_id for spec in plan.runs],
        RUN_IDS: list(plan.run_ids),
        "settings": settings_of_runs(plan),
        **({"published": [asdict(value) for value in plan.published]} if plan.published else {}),
        **({"tuned": [asdict(each) for each in plan.tuned]} if plan.tuned else {}),
    }


def what_was_planned(session: Mapping[str, Any]) -> dict[str, Any]:
    """What a session notes of the plan, the rest being of the computation."""
    return {each.name: session[each.name] for each in fields(PlannedStudy) if each.name in session}


@dataclass(frozen=True)
class OtherRuns:
    """Runs of a folder that are not the study's: how many."""

    superseded: int = 0  # of the same specification, by other code
    foreign: int = 0  # of other specifications, as those of an earlier version of the study

    def __str__(self) -> str:
        parts = {"by other code": self.superseded, "of other versions of the study": self.foreign}
        return ", ".join(f"{number} {what}" for what, number in parts.items() if number)


def other_runs(store: Store, study: Mapping[str, Any]) -> OtherRuns:
    """What ``store`` holds beside the runs of ``study``; none where its session is of an earlier version."""
    if RUN_IDS not in study:
        return OtherRuns()
    rest = inventory(store).files.keys() - {*study[RUN_IDS]}
    superseded = rest & superseding(store, study["spec_ids"], rest).keys()
    return OtherRuns(len(superseded), len(rest) - len(superseded))


def superseding(store: Store, spec_ids: Collection[str], among: Collection[str]) -> dict[str, str]:
    """run_id -> spec_id of the runs ``among`` these that any code known to ``store`` made of ``spec_ids``.

    No file is read: an id is the hash of specification and code, as ``RunSpec.run_id`` has it.
    """
    return {name: spec_id for name, (spec_id, _) in _by_code(store, spec_ids, among).items()}


@dataclass(frozen=True)
class StoredRun:
    """A run that a folder holds: which, and by which code."""

    run_id: str
    spec: RunSpec
    code: str  # fingerprint
    failed: bool = False


def stored_runs(store: Store, plan: Plan) -> list[StoredRun]:
    """All runs of ``store`` but failed tries of the plan itself and what cannot be read.

    Only files are opened whose specification no id of the plan tells.
    """
    held = inventory(store)
    files, specs = held.files, {spec.spec_id: spec for spec in plan.runs}
    present = dict(zip(plan.run_ids, plan.runs, strict=True))
    found = [
        StoredRun(name, present[name], fingerprint_of(present[name])) for name in held.done if name in present
    ]
    others = sorted(files.keys() - present.keys())
    known = _by_code(store, specs.keys(), others)
    for run_id in others:
        failed = run_id in held.failed
        if run_id in known:
            spec_id, code = known[run_id]
            found.append(StoredRun(run_id, specs[spec_id], code, failed))
            continue
        run = readable_run(files[run_id])
        if run is not None:
            found.append(StoredRun(run_id, run.spec, str(run.provenance.get("code", "")), failed))
    return found


def _by_code(store: Store, spec_ids: Collection[str], among: Collection[str]) -> dict[str, tuple[str, str]]:
    """run_id -> spec_id and fingerprint of the runs ``among`` these that known code made of ``spec_ids``."""
    if not among:
        return {}
    codes = [key.removesuffix(".json") for key in filter(CODE.fullmatch, store.code.files())]
    made = {digest([spec_id, code]): (spec_id, code) for spec_id in spec_ids for code in codes}
    return {name: made[name] for name in among if name in made}


def with_results(store: Store, study: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """``study`` by the code that has results of it, and what is to be said where that is not its own.

    That is the study's own code where it has a result of any run. Where it has none, the latest session
    counts that planned the same runs and has results: one version of the code, never a mixture.
    """
    held = inventory(store).files
    if not held.keys().isdisjoint(study[RUN_IDS]):
        return study, ""
    for session in reversed(list(sessions(store))):
        planned = dict.fromkeys(session["spec_ids"])
        if not planned.keys() >= {*study["spec_ids"]}:
            continue
        told = (
            "The present code has computed none of these runs; they are shown as other code computed them, "
            f"in the session of {session['start'][:16].replace('T', ' ')} UTC. "
            "See what has changed with: ptychosuite plan STUDY --why"
        )
        if RUN_IDS not in session:
            return {key: value for key, value in study.items() if key != RUN_IDS}, told
        planned = dict(zip(session["spec_ids"], session[RUN_IDS], strict=True))
        run_ids = [planned[spec_id] for spec_id in study["spec_ids"]]
        if not held.keys().isdisjoint(run_ids):
            return {**study, RUN_IDS: run_ids}, told
    return study, ""
