"""What others have published of a study's runs, its section ``published``: checked against these runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from annotated_types import Gt, MinLen

from ptychosuite.core.plan import Published
from ptychosuite.core.runs import RunSpec
from ptychosuite.registry.factors import called
from ptychosuite.registry.validation import Keys, SettingError, as_mapping, shown, validate
from ptychosuite.study.figure_checks import FigureChecks, metric_called
from ptychosuite.study.study_file import StudyFile

SECTION = "published"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry: a value, or a table of values that share metric, source and tolerance.

    Parameters
    ----------
    metric
        Which one, by the name of its values.
    source
        Where they have been published.
    tolerance
        Relative difference up to which ours counts as the same.
    where
        Settings of the runs that are meant, each with its value or a list of values.
    value
        Of these runs.
    values
        Instead of one value: each with a ``where`` of its own, beside that of the entry.
    """

    metric: str
    source: Annotated[str, MinLen(1)]
    tolerance: Annotated[float, Gt(0)] = 0.1
    where: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None
    values: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, kw_only=True)
class Item:
    """One of several values of an entry.

    Parameters
    ----------
    value
        In the unit of the entry's metric.
    where
        Factors with the values that the runs have, beside those of the entry.
    """

    value: float
    where: Mapping[str, Any] = field(default_factory=dict)


def published_values(
    study: StudyFile,
    runs: Sequence[RunSpec],
    factors: Sequence[str],
    constants: Sequence[str],
    possible: Sequence[str] = (),
) -> tuple[tuple[Published, ...], list[str]]:
    """The published values of ``study``, and warnings of those whose conditions no run of it meets.

    Parameters are those of :func:`~ptychosuite.study.figure_checks.planned_figures`; of what overrides have
    taken away nothing is said.

    Raises
    ------
    StudyError
        With the place in the file: no such metric or setting, no number, no source.
    """
    entries = study.data.get(SECTION)
    if entries is None:
        return (), []
    if not isinstance(entries, list):
        raise study.error((SECTION,), "expected a list, each with 'metric', 'source', 'where' and 'value'")
    names = {**called([*factors, *constants]), **called(factors)}
    checks = FigureChecks(runs, names, called(possible))
    found, warnings = [], []
    try:
        for index, entry in enumerate(entries):
            for value, places in _values(entry, (SECTION, index), checks):
                found.append(value)
                if not possible:
                    warnings += [str(study.error(*_unmet(each))) for each in _unmatched(checks, places)]
    except SettingError as error:
        raise study.error(error.path, error.message) from error
    return tuple(found), warnings


def _unmet(error: SettingError) -> tuple[Keys, str]:
    return error.path, f"{error.message}: nothing is compared with this value"


def _values(
    entry: Any, path: Keys, checks: FigureChecks
) -> Iterator[tuple[Published, list[tuple[Mapping[str, Any], Keys]]]]:
    """The values of an entry, each with its conditions as written and their places."""
    settings: Entry = validate(Entry, as_mapping(entry, path), path)
    metric = metric_called(settings.metric)
    if metric is None or checks.no_metric(settings.metric):
        raise SettingError((*path, "metric"), checks.no_metric(settings.metric))
    for value, conditions, place in _items(settings, path):
        if value == 0:
            raise SettingError(place, "found 0; a difference is relative to the value: expected another one")
        where: dict[str, Any] = {}
        for wanted, where_place in conditions:
            for error in checks.nothing_named(wanted, where_place):
                raise error
            where |= {checks.path_of(name): found for name, found in wanted.items()}
        yield (
            Published(metric.name, where, value, settings.source, settings.tolerance),
            [*conditions, ({name: found for each, _ in conditions for name, found in each.items()}, path)],
        )


def _items(settings: Entry, path: Keys) -> Iterator[tuple[float, list[tuple[Mapping[str, Any], Keys]], Keys]]:
    """Value, conditions and place of each value of an entry."""
    shared = (settings.where, (*path, "where"))
    if (settings.value is None) is (not settings.values):
        message = "'value' and 'values' are both given" if settings.values else "'value' is missing"
        raise SettingError(path, f"{message}; expected one number, or a list of them with their 'where'")
    if settings.value is not None:
        yield settings.value, [shared], (*path, "value")
    for index, item in enumerate(settings.values):
        place = (*path, "values", index)
        own: Item = validate(Item, item, place)
        if twice := own.where.keys() & settings.where.keys():
            name = sorted(twice)[0]
            message = f"found {shown(own.where[name])}; the entry's own 'where' says it already"
            raise SettingError((*place, "where", name), message)
        yield own.value, [shared, (own.where, (*place, "where"))], (*place, "value")


def _unmatched(
    checks: FigureChecks, conditions: Sequence[tuple[Mapping[str, Any], Keys]]
) -> list[SettingError]:
    """Why no run is meant: the first reason there is, of one condition or of all together."""
    found = (error for each in conditions for error in checks.nothing_selected(*each))
    return [*itertools.islice(found, 1)]
