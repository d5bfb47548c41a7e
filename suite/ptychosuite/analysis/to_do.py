"""Why runs of a plan are yet to be computed. A run may have several reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ptychosuite.analysis.nearest import UNTIL, StoredRuns
from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import printable
from ptychosuite.registry.fingerprint import Code, code_of
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import StoredRun, stored_runs
from ptychosuite.store.read import Inventory, codes, inventory, readable_run, sessions

Kind = Literal[
    "new", "settings changed", "code changed", "failed", "damaged", "interrupted", "stopped sooner"
]
TRACEBACK = "Traceback (most recent call last):"
LONGEST_VALUE = 200
SHOWN_VALUES = 3  # of one reason
MOST_LINES = 10


@dataclass(frozen=True)
class Reason:
    """One reason for a run to be to do.

    Parameters
    ----------
    what
        In words that many runs may have in common, "settings changed".
    names, values
        What is meant, as "problem.noise" (or nothing, where there is no more to it than a value), and what is
        this run's own, "0.1 -> 0.2".
    run_id
        The stored run that it is about.
    """

    kind: Kind
    what: str
    names: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    run_id: str = ""

    def __str__(self) -> str:
        return _in_words([self])


NEW = Reason("new", "new")
DAMAGED = Reason("damaged", "its file is damaged")
INTERRUPTED = Reason("interrupted", "planned before; no sweep has finished them")
NO_LIST = Reason(
    "code changed", "code changed: which files is not known, a version computed them that kept no list"
)
HAD_FAILED = "; with that code it had failed"
NOT_COMPARED = "code changed: which files is not known, its list of them is not here"

Why = Mapping[str, Sequence[Reason]]
"""run_id -> the reasons for it to be to do."""


def why_to_do(plan: Plan, store: Store | None) -> dict[str, tuple[Reason, ...]]:
    """The reasons for every run of ``plan`` that ``store`` does not hold as done.

    Settings are compared with those of the nearest stored run, files with those of the code most like the
    present that has a result of the same settings.
    """
    if store is None:
        return dict.fromkeys(plan.run_ids, (NEW,))
    held = inventory(store)
    left = [place for place, run_id in enumerate(plan.run_ids) if run_id not in held.done]
    reader = _Reader(plan, store, held)
    nearest = reader.stored.nearest([plan.runs[place] for place in left])
    reasons = {}
    for place, like in zip(left, nearest, strict=True):
        spec, run_id = plan.runs[place], plan.run_ids[place]
        found = [*reader.failed(run_id), *reader.superseded(spec), *reader.stopped_sooner(spec)]
        if run_id in held.damaged:
            found.insert(0, DAMAGED)
        if not found and run_id in reader.planned:
            found.append(INTERRUPTED)
        if not found and like is not None:
            found += reader.changed(spec, *like)
        if not found and spec.spec_id in reader.without_list:
            found.append(NO_LIST)
        reasons[run_id] = tuple(found) or (NEW,)
    return reasons


def in_lines(why: Why) -> list[str]:
    """The reasons, each set of them once with the number of its runs, in at most :data:`MOST_LINES` lines."""
    groups: dict[tuple[Any, ...], list[Sequence[Reason]]] = {}
    for reasons in why.values():
        groups.setdefault(tuple((each.what, each.names) for each in reasons), []).append(reasons)
    ordered = sorted(groups.values(), key=len, reverse=True)
    shown = ordered if len(ordered) <= MOST_LINES else ordered[: MOST_LINES - 1]
    lines = [f"{len(group)} to do: {'; '.join(map(_in_words, zip(*group, strict=True)))}" for group in shown]
    if rest := ordered[len(shown) :]:
        number = sum(map(len, rest))
        lines.append(f"{number} to do for {len(rest)} other reasons; --json has them run by run")
    return lines


def _in_words(alike: Sequence[Reason]) -> str:
    """Reasons of one kind about the same settings, with a few of the values in which they differ."""
    parts = []
    for name, *values in zip(alike[0].names, *(reason.values for reason in alike), strict=True):
        different = list(dict.fromkeys(values))
        more = [f"{len(different) - SHOWN_VALUES} more"] * (len(different) > SHOWN_VALUES)
        told = "; ".join([*different[:SHOWN_VALUES], *more])
        parts.append(f"{name} {told if len(different) == 1 else f'({told})'}".strip())
    return f"{alike[0].what}: {', '.join(parts)}" if parts else alike[0].what


class _Reader:
    """What a results folder says of runs that are to do."""

    def __init__(self, plan: Plan, store: Store, held: Inventory) -> None:
        self.held, self.manifests = held, codes(store)
        self.planned: set[str] = set()  # run_id of all sessions
        self.without_list: set[str] = set()  # spec_id, of versions that kept no list of files
        for session in sessions(store):
            if "sources" in session["environment"]:
                self.planned.update(session.get("run_ids", ()))
                if "run_ids" not in session:
                    self.planned.update(_ids_of(plan, session["spec_ids"]))
            else:
                self.without_list.update(session["spec_ids"])
        runs = stored_runs(store, plan)
        wanted = {spec.spec_id for spec in plan.runs}
        self.stored = StoredRuns(
            runs, frozenset(place for place, run in enumerate(runs) if run.spec.spec_id not in wanted)
        )
        present = set(plan.run_ids)
        self.of_spec: dict[str, list[StoredRun]] = {}
        for run in runs:
            if run.run_id not in present:
                self.of_spec.setdefault(run.spec.spec_id, []).append(run)

    def failed(self, run_id: str) -> Iterable[Reason]:
        """That the run has failed: how often, and what it said."""
        if run_id not in self.held.failed:
            return
        times = self.held.attempts.get(run_id, 1)
        record = readable_run(self.held.failed[run_id])
        message = record.message if record else "its file cannot be read"
        often = "once" if times == 1 else f"{times} times"
        yield Reason(
            "failed", "failed with the present code", ("",), (f"{often}, {first_line(message)}",), run_id
        )

    def superseded(self, spec: RunSpec) -> Iterable[Reason]:
        """That other code has computed the run, and in what it differs."""
        of_others = self.of_spec.get(spec.spec_id, [])
        known = [run for run in of_others if run.code in self.manifests]
        if known:
            now = code_of(spec)
            run = min(known, key=lambda run: (_distance(self.manifests[run.code], now), run.run_id))
            told = _code_changed(self.manifests[run.code], now)
        elif of_others:
            run, told = of_others[0], NOT_COMPARED
        else:
            return
        yield Reason("code changed", told + HAD_FAILED * run.failed, run_id=run.run_id)

    def stopped_sooner(self, spec: RunSpec) -> Iterable[Reason]:
        """That a stored run of the same settings ended sooner."""
        now = code_of(spec)
        run = self.stored.stopped_sooner(spec, now.fingerprint)
        if run is None:
            return
        then = run.spec.stop
        changed = [key for key in UNTIL if then.get(key) != spec.stop.get(key)]
        names = tuple(f"stop.{key}" for key in changed)
        values = tuple(_change(then.get(key), spec.stop.get(key)) for key in changed)
        yield Reason("stopped sooner", "a stored run stopped sooner", names, values, run.run_id)
        yield from self._other_code(run, now)

    def changed(
        self, spec: RunSpec, run: StoredRun, differences: Mapping[str, tuple[Any, Any]]
    ) -> Iterable[Reason]:
        """In what the nearest stored run, which is no longer in the study, differs."""
        names = tuple(_called(path) for path in differences)
        values = tuple(_change(*each) for each in differences.values())
        yield Reason("settings changed", "settings changed", names, values, run.run_id)
        yield from self._other_code(run, code_of(spec))

    def _other_code(self, run: StoredRun, now: Code) -> Iterable[Reason]:
        """That not only its settings differ; of another solver, other files are no change."""
        if run.code == now.fingerprint:
            return
        if run.code not in self.manifests:
            yield Reason("code changed", NOT_COMPARED, run_id=run.run_id)
            return
        then, files = self.manifests[run.code]["files"], now.files
        if any(then[name] != files[name] for name in files if name in then):
            told = _code_changed(self.manifests[run.code], now, common=True)
            yield Reason("code changed", told, run_id=run.run_id)


def _ids_of(plan: Plan, spec_ids: Iterable[str]) -> set[str]:
    wanted = set(spec_ids)
    return {run_id for spec, run_id in zip(plan.runs, plan.run_ids, strict=True) if spec.spec_id in wanted}


def first_line(message: str) -> str:
    """What a message begins with; of a traceback its exception."""
    lines = message.strip().splitlines() or [""]
    if TRACEBACK in lines:
        after = lines[len(lines) - lines[::-1].index(TRACEBACK) :]
        lines = [line for line in after if not line.startswith(" ")] or lines[-1:]
    text = printable(lines[0], kept="")
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _called(path: str) -> str:
    return f"content of {path.removesuffix('_sha256')}" if path.endswith("_sha256") else path


def _change(then: Any, now: Any) -> str:
    return f"{_shown(then)} -> {_shown(now)}"


def _shown(value: Any) -> str:
    if value in (None, ""):
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    text = printable(str(value), kept="")
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."


def _distance(then: Mapping[str, Mapping[str, str]], now: Code) -> int:
    """In how many files and packages two codes differ."""
    pairs = ((then["files"], now.files), (then["packages"], now.packages))
    return sum(old.get(name) != new.get(name) for old, new in pairs for name in {*old, *new})


def _code_changed(then: Mapping[str, Mapping[str, str]], now: Code, common: bool = False) -> str:
    """What differs between the files and packages of then and now, in words.

    ``common``: only where both have the file or the package.
    """
    old, new = then["files"], now.files
    files = {
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "new": [] if common else [name for name in new if name not in old],
        "gone": [] if common else [name for name in old if name not in new],
    }
    parts = [f"{', '.join(names)} {what}" for what, names in files.items() if names]
    before, after = then["packages"], now.packages
    parts += [
        f"{name} {before.get(name) or 'not there'} -> {after.get(name) or 'not there'}"
        for name in dict.fromkeys([*before, *after])
        if before.get(name, "") != after.get(name, "")
        and not (common and (name not in before or name not in after))
    ]
    return f"code changed: {'; '.join(parts)}"
