"""A study expanded into its runs, and how much its figures may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from annotated_types import Ge

from ptychosuite.core.runs import RunSpec

Dtype = Literal["complex64", "complex128"]
Change = Annotated[float, Ge(0)]
Relative = Change | Mapping[Dtype, Change] | None


FIRST_ITERATIONS = "first_iterations"


@dataclass(frozen=True)
class Tolerances:
    """The section ``check.tolerance`` of a study: relative changes about which nothing is said.

    Each is a number, or one for each dtype, ``{complex64: 1e-3, complex128: 1e-6}``. What the study does not
    say, or says to be null, has the tolerance that rounding was measured to need.

    Parameters
    ----------
    wanted
        By the name of a metric. :data:`FIRST_ITERATIONS` stands for the metrics that tell beginnings after
        one and two iterations, in either direction: beyond it, the run is another computation than the
        baseline's.
    """

    wanted: Mapping[str, Relative] = field(default_factory=dict)

    def of(self, name: str, dtype: str) -> float | None:
        """What the study says of the quantity ``name`` in runs of ``dtype``; None where it says nothing."""
        wanted = self.wanted.get(name)
        if isinstance(wanted, Mapping):
            return {str(key): change for key, change in wanted.items()}.get(dtype)
        return wanted


@dataclass(frozen=True)
class Published:
    """A value that others have published, and what it holds for.

    Parameters
    ----------
    metric
        Under the name of its values.
    where
        Dotted path of a setting -> the value that a run has to have, or several of which it has to have one.
    value
        The published one; not 0, as differences are relative.
    source
        Where it stands.
    tolerance
        Relative difference up to which ours counts as the same.
    """

    metric: str
    where: Mapping[str, Any]
    value: float
    source: str
    tolerance: float


@dataclass(frozen=True)
class Tuned:
    """What the tries of one solver have found, on problems that are not the compared ones.

    Parameters
    ----------
    solver
        As the study writes it, complete.
    where
        Dotted path -> value of the settings of the compared runs that it was tuned for apart.
    metric
        By which tries are ranked, on each problem.
    tries
        Dotted path -> value that each has tried; the first is what the study writes.
    ranks
        Of each try, 1 being the best: the mean over the problems.
    medians
        Of the metric over the problems on which a try completed; None where there is none, and where on half
        of them or more the try has no value, as it never met its tolerance.
    completed
        Of each try, the number of problems.
    problems
        How many there were.
    chosen
        Place of the try that the compared runs have.
    at_bound
        Settings of the chosen try that lie at an end of what was tried.
    without
        Of each try, the number of problems on which it completed and has no value; empty in sessions of
        earlier versions, whose ``completed`` leaves those out.
    """

    solver: Mapping[str, Any]
    where: Mapping[str, Any]
    metric: str
    tries: Sequence[Mapping[str, Any]]
    ranks: Sequence[float]
    medians: Sequence[float | None]
    completed: Sequence[int]
    problems: int
    chosen: int
    at_bound: Sequence[str] = ()
    without: Sequence[int] = ()


@dataclass(frozen=True)
class Plan:
    """A study expanded."""

    name: str
    title: str
    runs: tuple[RunSpec, ...]
    run_ids: tuple[str, ...]  # of the runs, under the present code
    factors: Mapping[str, bool]  # dotted path of what varies, in the study's order -> is it a number?
    constants: Mapping[str, Any]  # dotted path -> value of all that does not
    figures: tuple[Mapping[str, Any], ...]  # each its kind and all its settings, as plain data
    tolerances: Tolerances  # of a check
    text: str
    overrides: tuple[str, ...]
    published: tuple[Published, ...] = ()  # what others have found
    tuned: tuple[Tuned, ...] = ()  # what tries have found, of each solver that is tuned
    warnings: tuple[str, ...] = ()  # what the study says to no effect, each with its place

    def remaining(self, done: Iterable[str]) -> tuple[RunSpec, ...]:
        """The runs whose ids are not in ``done``, in order."""
        known = set(done)
        return tuple(run for run, run_id in zip(self.runs, self.run_ids, strict=True) if run_id not in known)

    def only(self, places: Sequence[int]) -> Plan:
        """The plan with the runs at these places alone; what varies in all of it stays what varies."""
        return replace(
            self,
            runs=tuple(self.runs[place] for place in places),
            run_ids=tuple(self.run_ids[place] for place in places),
        )
