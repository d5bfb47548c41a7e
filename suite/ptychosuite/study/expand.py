"""From a study to its runs: expand the axes, check every run, name what varies.

Nothing here touches clusters, or results but those of a run that others begin from.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import RunSpec, by_identity
from ptychosuite.core.stages import STAGES
from ptychosuite.errors import StudyError, nearest, printable
from ptychosuite.problems.problem_kind import DEFAULT_KIND, STARTS, OfEveryProblem, ProblemKind
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import are_numbers, fast_forward_as_one, is_hash
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.registry.validation import SettingError, shown
from ptychosuite.study.axis_values import MOST_RUNS, axis_values, one_or_more
from ptychosuite.study.exclusion import Exclusion
from ptychosuite.study.figure_checks import planned_figures
from ptychosuite.study.published import published_values
from ptychosuite.study.schema import (
    DEFAULTS,
    RUN_FIELDS,
    Completion,
    Stop,
    part_defaults,
)
from ptychosuite.study.stages import STAGED
from ptychosuite.study.study_file import Override, StudyFile, is_of_tuning, tolerances

NOT_DRAWN = 2**63  # from so many combinations on, they cannot be numbered


@dataclass(frozen=True)
class Assignment:
    """One value given to one dotted path, and where it was given."""

    path: str
    value: Any
    place: tuple[str | int, ...] = ()  # keys in the study file
    source: str = ""  # instead of a place: an override


@dataclass(frozen=True)
class Written:
    """A run as a study writes it: what set it, and its fields before they were completed."""

    run: RunSpec
    assignments: Sequence[Assignment]
    fields: Mapping[str, Any]


class Expansion:
    """The runs that a study writes, each once, and what is odd about them.

    Raises
    ------
    StudyError
        With file, line and column, for anything that cannot be run.
    """

    def __init__(self, study: StudyFile) -> None:
        self.study = study
        self.overrides = {o.path: o for o in study.overrides if not is_of_tuning(o.path)}
        for override in self.overrides.values():
            check_path(override.path, lambda message, o=override: StudyError(f"{o.source}: {message}"))
        self.warnings: list[str] = []
        self._complete = Completion(study.base)
        self.written = self._expanded()

    @property
    def axes(self) -> set[str]:
        """Dotted paths that the study's axes and zips give values to."""
        groups = [*_axes(self.study, self.overrides), *_zips(self.study, self.overrides)]
        return {assignment.path for group in groups for assignment in group[0]}

    def changed(self, written: Written, assignments: Sequence[Assignment]) -> RunSpec:
        """A run with other settings than those that are written."""
        every = [*written.assignments, *assignments]
        return _complete(self.study, every, _apply(self.study, written.fields, assignments), self._complete)

    def _expanded(self) -> list[Written]:
        study, runs, exclusion = self.study, {}, Exclusion(_entries(self.study, "exclude"))
        for assignments, fields in _assignments(study, self.overrides, exclusion):
            run = _complete(study, assignments, fields, self._complete)
            if not exclusion.covers(run.to_dict()) and run.spec_id not in runs:  # by its defaults as well
                runs[run.spec_id] = Written(run, assignments, fields)
            elif assignments and assignments[0].place[:1] == ("include",):
                place = assignments[0].place[:2]
                self.warnings.append(_warning(study, place, "it adds no run: excluded, or there already"))
        found = list(runs.values())
        _check_excludes(study, [each.run for each in found], exclusion)
        if not found:
            raise study.error(("exclude",), "nothing is left to run; every combination is excluded")
        if "sample" not in study.data:
            unused = (("exclude", place) for place in exclusion.unused)
            self.warnings += [_warning(study, place, "it excludes no run") for place in unused]
        return found


Settle = Callable[[RunSpec], Sequence[Assignment]]
"""What the tries of a study have found for a run as it is written."""


def make_plan(study: StudyFile, settle: Settle | None = None, expansion: Expansion | None = None) -> Plan:
    """Expand ``study`` and check every run.

    Parameters
    ----------
    settle
        Settings that take the place of those that are written, for each run.
    expansion
        Of the study, where it is known already.

    Raises
    ------
    StudyError
        With file, line and column, for anything that cannot be run.
    """
    expansion = expansion or Expansion(study)
    runs: dict[str, RunSpec] = {}
    set_by: list[Assignment] = []
    for written in expansion.written:
        settled = settle(written.run) if settle else ()
        run = expansion.changed(written, settled) if settled else written.run
        if runs.setdefault(run.spec_id, run) is run:
            set_by += [*written.assignments, *settled]
    specs = tuple(runs.values())
    factors, constants = what_varies(specs, set_by, _lone_axes(study, expansion.overrides))
    possible = _known_paths() if expansion.overrides else ()
    figures, undrawn = planned_figures(study, specs, factors, constants, possible)
    published, unmet = published_values(study, specs, [*factors], [*constants], possible)
    return Plan(
        name=study.name,
        title=title_of(study),
        runs=specs,
        run_ids=tuple(map(run_id_of, specs)),
        factors=factors,
        constants=constants,
        figures=figures,
        tolerances=tolerances(study),
        text=study.text,
        overrides=tuple(str(override) for override in study.overrides),
        published=published,
        warnings=tuple(undrawn if expansion.overrides else [*expansion.warnings, *unmet]),
    )


def outlines(study: StudyFile) -> list[dict[str, Any]]:
    """The fields of every run that a study writes, as it writes them: nothing is checked, no file looked at.

    A run that is excluded by a default, or written twice, is among them.

    Raises
    ------
    StudyError
        Axes or exclusions are not what they should be.
    """
    exclusion = Exclusion(_entries(study, "exclude"))
    return [fields for _, fields in _assignments(study, {}, exclusion)]


def title_of(study: StudyFile) -> str:
    """What the study is called where people read it."""
    return printable(study.data.get("title") or study.name, kept="")


def _warning(study: StudyFile, place: Sequence[str | int], message: str) -> str:
    return str(study.error(place, message))


def _assignments(
    study: StudyFile, overrides: Mapping[str, Override], exclusion: Exclusion
) -> Iterator[tuple[list[Assignment], dict[str, Any]]]:
    """What each run sets, and the fields that come of it.

    The product of axes and zips without the excluded comes first, then the included.
    """
    axes, zips = _axes(study, overrides), _zips(study, overrides)
    in_axes = {assignment.path for group in axes for assignment in group[0]}
    for assignment in (assignment for group in zips for assignment in group[0]):
        if assignment.path in in_axes:
            raise study.error(assignment.place[:3], "it stands under axes as well; say it once")
    groups = axes + zips
    in_axes = {assignment.path for group in groups for choice in group for assignment in choice}
    for override in overrides.values():
        if override.path not in in_axes:
            groups.append(
                [[Assignment(override.path, value, source=override.source)] for value in _values_of(override)]
            )
    defaults = _defaults(study)
    for choice in _sampled(study, groups):
        assignments = list(itertools.chain.from_iterable(choice))
        fields = _apply(study, defaults, assignments)
        if not exclusion.covers(fields):
            yield assignments, fields
    fixed = [
        Assignment(o.path, o.value, source=o.source) for o in overrides.values() if o.path not in in_axes
    ]
    for index, extra in enumerate(_entries(study, "include")):
        extras = [Assignment(path, value, ("include", index, path)) for path, value in extra.items()]
        assignments = [*extras, *fixed]
        yield assignments, _apply(study, defaults, assignments)


def _sampled(
    study: StudyFile, groups: Sequence[Sequence[list[Assignment]]]
) -> Iterable[Sequence[list[Assignment]]]:
    """Every combination, or as many as ``sample`` says, drawn at random and always the same."""
    number = study.data.get("sample")
    lengths = [len(group) for group in groups]
    total = math.prod(lengths)
    if number is None and total > MOST_RUNS:
        message = (
            f"these are {total:,} combinations, and a plan has at most {MOST_RUNS:,} runs; "
            "give fewer values, or say 'sample: 1000'"
        )
        raise study.error(("axes",) if "axes" in study.data else ("zip",), message)
    if number is None:
        return itertools.product(*groups)
    most = min(total, MOST_RUNS)
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= most:
        all_are = ", all that are" if most == total else ""
        raise study.error(("sample",), f"found {shown(number)}; expected a number from 1 to {most}{all_are}")
    if total >= NOT_DRAWN:
        raise study.error(
            ("sample",), f"{total:.1e} combinations are too many to draw from; say fewer values"
        )
    drawn = np.random.default_rng(0).choice(total, number, replace=False)
    places = np.stack(np.unravel_index(drawn, lengths or (1,)), axis=-1).tolist()
    return [[group[i] for group, i in zip(groups, place, strict=False)] for place in places]


def _axes(study: StudyFile, overrides: Mapping[str, Override]) -> list[list[list[Assignment]]]:
    axes = study.data.get("axes") or {}
    if not isinstance(axes, dict):
        raise study.error(("axes",), "expected dotted paths, each with a list of values")
    groups = []
    for path, values in axes.items():
        place = ("axes", path)
        check_path(path, lambda message, p=place: study.error(p, message))
        if path in overrides:
            source, values = overrides[path].source, _values_of(overrides[path])
            groups.append([[Assignment(path, value, source=source)] for value in values])
        else:
            choices = axis_values(values, lambda message, p=place: study.error(p, message))
            groups.append([[Assignment(path, value, (*place, i))] for i, value in enumerate(choices)])
    return groups


def _zips(study: StudyFile, overrides: Mapping[str, Override]) -> list[list[list[Assignment]]]:
    groups = []
    for index, entry in enumerate(_entries(study, "zip")):
        columns = []
        for path, values in entry.items():
            if path in overrides:
                continue  # said once for all on the command line
            place = ("zip", index, path)
            check_path(path, lambda message, p=place: study.error(p, message))
            choices = axis_values(values, lambda message, p=place: study.error(p, message))
            columns.append([Assignment(path, value, (*place, i)) for i, value in enumerate(choices)])
        lengths = {len(column) for column in columns}
        if len(lengths) > 1:
            sizes = ", ".join(f"{column[0].path} has {len(column)}" for column in columns)
            raise study.error(("zip", index), f"axes that advance together need equally many values; {sizes}")
        if columns:
            groups.append([list(row) for row in zip(*columns, strict=True)])
    return groups


def _values_of(override: Override) -> list[Any]:
    return one_or_more(override.value, lambda message: StudyError(f"{override.source}: {message}"))


def _entries(study: StudyFile, key: str) -> list[dict[str, Any]]:
    entries = study.data.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise study.error((key,), "expected a list of mappings of dotted paths to values")
    for index, entry in enumerate(entries):
        for path in entry:
            check_path(path, lambda message, i=index, p=path: study.error((key, i, p), message))
    return entries


def check_path(path: Any, error: Any) -> None:
    head = str(path).split(".")[0]
    if head in RUN_FIELDS:
        return
    whole = [known for known in _known_paths() if known.endswith(f".{path}")]
    hint = f"did you mean '{whole[0]}'?" if whole else nearest(head, RUN_FIELDS)
    raise error(f"'{path}' is not part of a run; {hint}")


@cache
def _known_paths() -> tuple[str, ...]:
    """Dotted paths of all settings of what is registered, for hints."""
    problems = registry.classes("problems").values()
    parts = {f"problem.{part}": group for cls in problems for part, group in cls.parts.items()}
    classes = [("stop", Stop), *(("solver", cls) for cls in registry.classes("solvers").values())]
    for head, group in {"fast_forward": "operators", **parts}.items():
        classes += [(head, cls) for cls in registry.classes(group).values()]
    classes += [("problem", cls) for cls in (*problems, OfEveryProblem)]
    classes += [(f"problem.{name}", group) for cls in problems for name, group in cls.groups.items()]
    paths = [f"{head}.{f.name}" for head, cls in classes for f in dataclasses.fields(cls)]
    kinds = (*(f"{part}.kind" for part in parts), "problem.kind")
    return (*dict.fromkeys(paths), *RUN_FIELDS, "solver.name", *kinds)


def _defaults(study: StudyFile) -> dict[str, Any]:
    """The run fields at the top level of the study, over the built-in defaults."""
    written = {name: study.data[name] for name in RUN_FIELDS if name in study.data}
    defaults = copy.deepcopy({**DEFAULTS, **written})
    if isinstance(defaults["problem"], dict):
        defaults["problem"] = part_defaults(_problem_class(defaults["problem"])) | defaults["problem"]
    return defaults


def _problem_class(problem: Any) -> type[ProblemKind]:
    """The class behind a problem as the study gives it; the base where there is none of its name."""
    try:
        return registry.class_of("problems", str(problem.get("kind", DEFAULT_KIND)))
    except (AttributeError, StudyError):  # told with its place when the run is checked
        return ProblemKind


def _check_excludes(study: StudyFile, runs: Iterable[RunSpec], exclusion: Exclusion) -> None:
    """Refuse an exclude that matches nothing, as no run has its path."""
    if not exclusion.unused:
        return
    known = {*_known_paths(), *(path for run in runs for path in run.leaves())}
    for index in exclusion.unused:
        for path in exclusion.patterns[index]:
            if not any(leaf == path or leaf.startswith(f"{path}.") for leaf in known):
                raise study.error(("exclude", index, path), f"no run has '{path}'; {nearest(path, known)}")


def _apply(
    study: StudyFile, defaults: Mapping[str, Any], assignments: Sequence[Assignment]
) -> dict[str, Any]:
    """Whole parts are set before their details, so that ``solver`` does not wipe out ``solver.alpha``.

    What an assignment changes is copied on the way to it; everything else the runs share.
    """
    fields = dict(defaults)
    for assignment in sorted(assignments, key=_depth):
        *parents, last = assignment.path.split(".")
        target: Any = fields
        done: tuple[str, ...] = ()
        try:
            for key in parents:
                place = _place(target, key, done)
                inner = _opened(
                    target[place] if isinstance(target, list) else target.get(key), (*done, key), fields
                )
                target[place] = inner
                target, done = inner, (*done, key)
            target[_place(target, last, done)] = assignment.value
        except SettingError as error:
            raise _located(study, assignments, error) from error
    return fields


def _opened(inner: Any, path: tuple[str, ...], fields: Mapping[str, Any]) -> dict[str, Any] | list[Any]:
    """A copy of what stands at ``path``, to be written into; what a name or a list is short for."""
    if isinstance(inner, str) and _is_noun(path, fields):
        return {"name" if path[0] == "solver" else "kind": inner}  # "solver: rpie" is short for that
    if isinstance(inner, list):
        return {"name": STAGED, STAGES: inner} if path == ("solver",) else list(inner)
    if inner is not None and not isinstance(inner, Mapping):
        raise SettingError(path, f"found {shown(inner)}; expected keys and values")
    return dict(inner or {})


def _place(target: Any, key: str, path: tuple[str, ...]) -> Any:
    """``key``, or the number that it is where ``target`` is a list."""
    if not isinstance(target, list):
        return key
    if not key.isdecimal() or int(key) >= len(target):
        raise SettingError((*path, key), f"found '{key}'; expected a number from 0 to {len(target) - 1}")
    return int(key)


def _is_noun(path: tuple[str, ...], fields: Mapping[str, Any]) -> bool:
    """Whether a setting may be the name of a registered class alone."""
    if path[0] != "problem":
        return path in (("solver",), ("fast_forward",)) or (path[:2] == ("solver", STAGES) and len(path) == 3)
    return len(path) == 2 and path[1] in (*_problem_class(fields["problem"]).parts, *STARTS)


def _depth(assignment: Assignment) -> int:
    return assignment.path.count(".")


def _complete(
    study: StudyFile, assignments: Sequence[Assignment], fields: Mapping[str, Any], complete: Completion
) -> RunSpec:
    try:
        return complete.run(fields)
    except SettingError as error:
        raise _located(study, assignments, error) from error


def _located(study: StudyFile, assignments: Sequence[Assignment], error: SettingError) -> StudyError:
    """The error with the place in the file, or the override, that set the offending value."""
    deepest_first = sorted(assignments, key=_depth, reverse=True)
    for path in filter(None, (error.path, error.partner)):
        dotted = ".".join(str(part) for part in path)
        setting_it = [a for a in deepest_first if f"{dotted}.".startswith(f"{a.path}.")]
        below_it = [a for a in deepest_first if a.path.startswith(f"{dotted}.")]
        given_beside = [a for a in below_it if a.source]
        for assignment in given_beside or setting_it or ([] if path[0] in study.data else below_it):
            if assignment.source:
                return StudyError(f"{assignment.source}: {dotted}: {error.message}")
            rest = path[len(assignment.path.split(".")) :]
            return study.error((*assignment.place, *rest), error.message, dotted)
    return study.error(error.path, error.message)


def _lone_axes(study: StudyFile, overrides: Mapping[str, Override]) -> set[str]:
    """Dotted paths of axes of one value: they stay factors, by their name or kind where they are parts.

    A part that is there for the axes below it is none.
    """
    groups = [*_axes(study, overrides), *_zips(study, overrides)]
    paths = [assignment.path for group in groups for assignment in group[0]]
    lone = [assignment.path for group in groups if len(group) == 1 for assignment in group[0]]
    alone = [path for path in lone if not any(other.startswith(f"{path}.") for other in paths)]
    return {f"{path}{end}" for path in alone for end in ("", ".name", ".kind")}


def what_varies(
    runs: Sequence[RunSpec], set_by: Iterable[Assignment], lone_axes: Container[str] = ()
) -> tuple[dict[str, bool], dict[str, Any]]:
    """Dotted paths that differ between runs, of which ``set_by`` has all settings, and the others' values.

    An axis counts, of one value too. A setting that only some solvers have counts when it takes several
    values or when the study writes it. Fast-forward counts as one factor.
    """
    values: dict[str, set[Any]] = {}
    counts: Counter[str] = Counter()
    written = {path: None for assignment in set_by for path in _written_paths(assignment)}
    for run in runs:
        for path, value in fast_forward_as_one(run.leaves()).items():
            values.setdefault(path, set()).add(value)
            counts[path] += 1
    everywhere = {path for path, count in counts.items() if count == len(runs)}
    varying = dict.fromkeys(
        path
        for path in written
        if path in values and (len(values[path]) > 1 or path in lone_axes or path not in everywhere)
    )
    varying |= dict.fromkeys(path for path in values if len(values[path]) > 1 or path in lone_axes)
    factors = {path: are_numbers(values[path]) for path in varying if not is_hash(path)}
    constants = {p: next(iter(values[p])) for p in values if p in everywhere and p not in varying}
    return factors, constants


@by_identity
def _written_paths(assignment: Assignment) -> dict[str, None]:
    """Dotted paths of the scalars that an assignment writes, in order; fast-forward counts as one."""
    if assignment.path.split(".")[0] == "fast_forward":
        return {"fast_forward": None}
    if isinstance(assignment.value, Mapping):
        inner = (Assignment(f"{assignment.path}.{key}", value) for key, value in assignment.value.items())
        return dict.fromkeys(path for item in inner for path in _written_paths(item))
    return {"solver.name" if assignment.path == "solver" else assignment.path: None}
