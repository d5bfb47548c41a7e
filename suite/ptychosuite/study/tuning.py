"""The section ``tune`` of a study: settings that are found by tries, before the runs that are compared.

Every solver gets the same number of tries, on problems that are not the compared ones. The tries are runs
like any other, of a study of their own: its results lie in the folder ``NAME.tuning`` beside the study's.
Which try is best, and so which runs are compared, is known when all have ended.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

from annotated_types import Ge, Le

from ptychosuite.core.plan import Plan, Tolerances, Tuned
from ptychosuite.core.runs import RunSpec, canonical_json
from ptychosuite.errors import StudyError
from ptychosuite.problems.problem_kind import kind_of
from ptychosuite.registry.factors import called
from ptychosuite.registry.fingerprint import run_id_of
from ptychosuite.registry.validation import Keys, SettingError, as_mapping, shown, validate
from ptychosuite.study.axis_values import one_or_more
from ptychosuite.study.exclusion import matches
from ptychosuite.study.expand import (
    Assignment,
    Expansion,
    Settle,
    Written,
    check_path,
    title_of,
    what_varies,
)
from ptychosuite.study.figure_checks import metric_called
from ptychosuite.study.search_space import Choices, Range, Space, drawn_from, points
from ptychosuite.study.study_file import TUNE, StudyFile, is_of_tuning

SUFFIX = ".tuning"  # of the name of the study of tries
WHERE = "where"
SEEDS = "seeds"


@dataclass(frozen=True, kw_only=True)
class Tune:
    """The section ``tune``.

    Parameters
    ----------
    tries
        Of each solver; the first is what the study writes.
    over
        Dotted path -> ``{uniform: [low, high]}``, ``{loguniform: [low, high]}`` or a list of values, for the
        solvers that have the setting; or a list of such mappings, each with a ``where`` that says of which
        solvers it is, in the words of ``exclude``.
    on
        "seeds": the problems of the study with the seed after its last one. Or dotted paths with the values
        that take the place of the study's, ``{seed: [100, 101], problem.noise: 0.1}``.
    each
        Settings of the compared runs that solvers are tuned for apart: by default none, each solver has one
        set of settings for the whole study.
    by
        The metric at the end of a try by which it is ranked on its problem.
    seed
        Of the points that are tried.
    """

    tries: Annotated[int, Ge(1), Le(10_000)] = 16
    over: Any
    on: Any = SEEDS
    each: Sequence[str] = ()
    by: str = "residual"
    seed: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True)
class Contest:
    """The tries of one solver, as the study writes it.

    Parameters
    ----------
    solver, where
        As of :class:`~ptychosuite.core.plan.Tuned`.
    space
        What is tried.
    tries
        Settings that each has; the first those that are written.
    run_ids
        Of the runs of each try, one a problem.
    """

    solver: Mapping[str, Any]
    where: Mapping[str, Any]
    space: Space
    tries: Sequence[Mapping[str, Any]]
    run_ids: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Tuning:
    """The tries of a study.

    Parameters
    ----------
    plan
        Of the tries.
    metric
        By which they are ranked, under the name of its values.
    contests
        One for each solver that is tuned, and each ``where``.
    each
        Dotted paths of the settings that solvers are tuned for apart.
    spec_ids
        Of the compared runs, as written, that are tuned.
    expansion
        The compared runs, as written.
    """

    plan: Plan
    metric: str
    contests: Sequence[Contest]
    each: Sequence[str]
    spec_ids: frozenset[str]
    expansion: Expansion = field(repr=False)

    def settle(self, tuned: Sequence[Tuned]) -> Settle:
        """What gives each run, as written, the settings that ``tuned`` has found."""
        found = {canonical_json([each.solver, each.where]): each.tries[each.chosen] for each in tuned}

        def settled(run: RunSpec) -> list[Assignment]:
            settings = found[_key(run, self.each)] if run.spec_id in self.spec_ids else {}
            return [Assignment(path, value, (TUNE, "over")) for path, value in settings.items()]

        return settled


def tuning_of(study: StudyFile) -> Tuning | None:
    """The tries of a study; None where it has no section ``tune``, or that is off.

    Raises
    ------
    StudyError
        With the place in the file, for anything that cannot be tried, and what :class:`Expansion` raises.
    """
    try:
        settings = _settings(study)
        return None if settings is None else _Maker(study, settings).tuning()
    except SettingError as error:
        raise study.error(error.path, error.message) from error


def _settings(study: StudyFile) -> Tune | None:
    """The section with its overrides, ``--set tune=off`` and ``--set tune.tries=4``."""
    section = study.data.get(TUNE)
    for override in filter(lambda each: is_of_tuning(each.path), study.overrides):
        name = override.path.removeprefix(TUNE).removeprefix(".")
        if not name:
            section = override.value
        elif isinstance(section, Mapping):
            section = {**section, name: override.value}
        else:
            raise StudyError(f"{override.source}: the study has no section '{TUNE}'")
    if section in (None, False, "off"):
        return None
    settings: Tune = validate(Tune, section, (TUNE,))
    if metric_called(settings.by) is None:
        raise SettingError((TUNE, "by"), f"found {shown(settings.by)}; expected the name of a metric")
    if not settings.over:
        raise SettingError((TUNE, "over"), "there is nothing to try; name settings with their ranges")
    return settings


class _Maker:
    """From the section to the tries."""

    def __init__(self, study: StudyFile, settings: Tune) -> None:
        self._study, self._settings = study, settings
        self._expansion = Expansion(study)
        self._entries = list(_entries(settings.over))
        self._runs: dict[str, RunSpec] = {}  # of the tries, by spec_id
        self._set_by: list[Assignment] = []

    def tuning(self) -> Tuning:
        self._refuse_axes()
        spaces: dict[str, Space] = {}
        groups: dict[str, list[Written]] = {}
        for written in self._expansion.written:
            if space := self._space(written.run):
                spaces[written.run.spec_id] = space
                groups.setdefault(_key(written.run, self._each), []).append(written)
        self._refuse_idle(spaces.values())
        contests = [self._contest(spaces[group[0].run.spec_id], group) for group in groups.values()]
        return Tuning(self._plan(), self._metric, contests, self._each, frozenset(spaces), self._expansion)

    @property
    def _metric(self) -> str:
        metric = metric_called(self._settings.by)
        assert metric is not None
        return metric.name

    def _space(self, run: RunSpec) -> Space:
        """What is tried of a run: all entries that are of it, a later one in place of an earlier."""
        leaves, fields = run.leaves(), run.to_dict()
        found: dict[str, Range | Choices] = {}
        for where, ranges, _ in self._entries:
            if matches(fields, where):
                found |= {path: each for path, each in ranges.items() if where or path in leaves}
        return found

    @cached_property
    def _each(self) -> list[str]:
        """Dotted paths of the settings that solvers are tuned for apart."""
        names = called({path for written in self._expansion.written for path in written.run.leaves()})
        for place, name in enumerate(self._settings.each):
            if not names.get(name, "").startswith("problem"):
                message = f"found '{name}'; expected a setting of the problems, as in [problem.noise]"
                raise SettingError((TUNE, "each", place), message)
        return [names[name] for name in self._settings.each]

    def _contest(self, space: Space, group: Sequence[Written]) -> Contest:
        """The tries of one solver, as the runs of ``group`` have it."""
        run, problems = group[0].run, self._problems(group)
        if not problems:
            message = f"{run.solver_name} has no problem to be tuned on: measured data are one data set"
            raise SettingError((TUNE, "on"), f"{message}; name others")
        written = {path: run.leaves().get(path) for path in space}
        others = [
            each for each in points(space, self._settings.tries, self._settings.seed) if each != written
        ]
        tries = [written, *others[: self._settings.tries - 1]]
        run_ids = [[self._run(*problem, settings) for problem in problems] for settings in tries]
        return Contest(run.solver, _where(run, self._each), space, tries, run_ids)

    def _run(self, written: Written, problem: Sequence[Assignment], settings: Mapping[str, Any]) -> str:
        """The id of the run that tries ``settings`` on a problem."""
        tried = [Assignment(path, value, self._place(path)) for path, value in settings.items()]
        run = self._expansion.changed(written, [*problem, *tried])
        if run.spec_id not in self._runs:
            self._runs[run.spec_id] = run
            self._set_by += [*written.assignments, *problem, *tried]
        return run_id_of(run)

    def _problems(self, group: Sequence[Written]) -> list[tuple[Written, list[Assignment]]]:
        """Runs as written with what makes tuning problems of them, each problem once."""
        found: dict[str, tuple[Written, list[Assignment]]] = {}
        for written in group:
            for assignments in self._on:
                run = self._expansion.changed(written, assignments)
                if _data(run) not in self._compared:
                    found.setdefault(replace(run, solver={}).spec_id, (written, assignments))
                elif self._settings.on != SEEDS:  # of measured data every seed is the same
                    message = "a problem to tune on is one of the compared ones; give it another seed"
                    raise SettingError((TUNE, "on"), message)
        return list(found.values())

    @cached_property
    def _on(self) -> list[list[Assignment]]:
        """What makes the problems to tune on of the compared ones."""
        path = (TUNE, "on")
        if self._settings.on == SEEDS:
            return [[Assignment("seed", 1 + max(each.run.seed for each in self._expansion.written), path)]]
        columns = []
        for name, values in as_mapping(self._settings.on, path).items():

            def error(message: str, place: Keys = (*path, name)) -> SettingError:
                return SettingError(place, message)

            check_path(name, error)
            columns.append([Assignment(name, each, (*path, name)) for each in one_or_more(values, error)])
        return list(map(list, itertools.product(*columns)))

    @cached_property
    def _compared(self) -> set[str]:
        return {_data(written.run) for written in self._expansion.written}

    def _place(self, path: str) -> Keys:
        """Where the range of a setting stands that counts."""
        return next(place for _, ranges, place in reversed(self._entries) if path in ranges)

    def _refuse_axes(self) -> None:
        for _, ranges, place in self._entries:
            for path in ranges:
                check_path(path, lambda message, p=(*place, path): SettingError(p, message))
                if path in self._expansion.axes:
                    raise SettingError((*place, path), "it is an axis of the study as well; say one of them")

    def _refuse_idle(self, spaces: Iterable[Space]) -> None:
        """Refuse a range that nothing is drawn from."""
        used = {id(drawn) for space in spaces for drawn in space.values()}
        for _, ranges, place in self._entries:
            for path, drawn in ranges.items():
                if id(drawn) not in used:
                    raise SettingError((*place, path), "no run of the study is tuned in it")

    def _plan(self) -> Plan:
        specs = tuple(self._runs.values())
        factors, constants = what_varies(specs, self._set_by)
        return Plan(
            name=f"{self._study.name}{SUFFIX}",
            title=f"{title_of(self._study)}: tries",
            runs=specs,
            run_ids=tuple(map(run_id_of, specs)),
            factors=factors,
            constants=constants,
            figures=(),
            tolerances=Tolerances(),
            text=self._study.text,
            overrides=tuple(map(str, self._study.overrides)),
        )


def _entries(over: Any) -> Iterator[tuple[Mapping[str, Any], Space, Keys]]:
    """Of each entry of ``over`` its ``where``, its ranges, and its place."""
    path: Keys = (TUNE, "over")
    listed = over if isinstance(over, list) else []
    for entry, place in [(each, (*path, i)) for i, each in enumerate(listed)] or [(over, path)]:
        settings = as_mapping(entry, place)
        where = as_mapping(settings.pop(WHERE, {}), (*place, WHERE))
        yield where, {name: drawn_from(each, (*place, name)) for name, each in settings.items()}, place


def _where(run: RunSpec, each: Iterable[str]) -> dict[str, Any]:
    leaves = run.leaves()
    return {path: leaves.get(path) for path in each}


def _key(run: RunSpec, each: Iterable[str]) -> str:
    """The same for all runs whose solver is tuned together."""
    return canonical_json([dict(run.solver), _where(run, each)])


def _data(run: RunSpec) -> str:
    """What data a run sees: those of a measurement are the same for every seed."""
    return run.problem_id if kind_of(run.problem).knows_truth else replace(run, seed=0).problem_id
