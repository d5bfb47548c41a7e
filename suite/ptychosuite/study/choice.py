"""Which runs of a plan are meant: those that meet a condition, the first few, a sample, one share."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass

from ptychosuite.core.plan import Plan
from ptychosuite.core.runs import digest
from ptychosuite.errors import StudyError
from ptychosuite.study.job_array import AUTO, share_of_task
from ptychosuite.study.where import where


@dataclass(frozen=True)
class Share:
    """One of several equal parts of the runs, counted from 1.

    Parameters
    ----------
    index, number
        The part, and how many there are.
    """

    index: int
    number: int

    @classmethod
    def of(cls, text: str) -> Share:
        """The share that "2/8" stands for; of a job array that of this task is "auto", or one of 8 "auto/8".

        Raises
        ------
        StudyError
            The text is no share, or this is no task of a job array.
        """
        if automatic := re.fullmatch(rf"\s*{AUTO}\s*(?:/\s*([1-9]\d{{0,8}})\s*)?", text):
            return cls(*share_of_task(os.environ, int(automatic[1]) if automatic[1] else None))
        found = re.fullmatch(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise StudyError(
                f"--shard: found '{text}'; expected a share I/N with I from 1 to N, as in 2/8, or auto"
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.index}/{self.number}"


@dataclass(frozen=True)
class Choice:
    """What chooses among the runs of a plan. Each narrows what the one before it has left.

    Parameters
    ----------
    where
        A condition, as in "noise < 0.2 and solver == magpie".
    runs
        Ids, or their first digits.
    sample
        So many, drawn by their specifications: always the same, and among those of a larger sample.
    first
        So many, in the plan's order.
    share
        A part; the parts of a plan have no run in common, and differ in length by one at most.
    """

    where: str = ""
    runs: tuple[str, ...] = ()
    sample: int | None = None
    first: int | None = None
    share: Share | None = None

    def __post_init__(self) -> None:
        for name, number in (("--sample", self.sample), ("--first", self.first)):
            if number is not None and number < 1:
                raise StudyError(f"{name}: found {number}; expected a number of runs from 1 on")

    def __bool__(self) -> bool:
        return self != Choice()

    def of(self, plan: Plan) -> Plan:
        """The plan with the chosen runs alone.

        Raises
        ------
        StudyError
            The condition is none, or no run meets it; there is no run of such an id.
        """
        chosen = list(range(len(plan.runs)))
        if self.where:
            met = where(self.where, plan)
            chosen = [index for index in chosen if met[index]]
        if self.runs:
            named = {_named(plan, begin) for begin in self.runs}
            chosen = [index for index in chosen if index in named]
        if self.sample is not None:
            chosen = sorted(sorted(chosen, key=lambda index: _drawn(plan, index))[: self.sample])
        if self.first is not None:
            chosen = chosen[: self.first]
        if self.share is not None:
            in_turn = sorted(chosen, key=lambda index: plan.run_ids[index])
            chosen = sorted(in_turn[self.share.index - 1 :: self.share.number])
        return plan.only(chosen) if self else plan

    @property
    def share_alone(self) -> Choice:
        """What of it chooses among tries, which are of the whole study."""
        return Choice(share=self.share)

    @property
    def options(self) -> str:
        """As the command line has it; empty where nothing is chosen."""
        given = {"--where": self.where, "--sample": self.sample, "--first": self.first, "--shard": self.share}
        parts = [f"{name} {shlex.quote(str(value))}" for name, value in given.items() if value]
        return " ".join([*parts, *(f"--force {run_id}" for run_id in self.runs)])


def _named(plan: Plan, begin: str) -> int:
    found = [index for index, run_id in enumerate(plan.run_ids) if run_id.startswith(begin)]
    if len(found) != 1 or not begin:
        raise StudyError(
            f"{len(found)} runs of {plan.name} have an id that begins with '{begin}'; "
            "list them with: ptychosuite plan STUDY --all"
        )
    return found[0]


def _drawn(plan: Plan, index: int) -> str:
    """By what a sample is ordered: at random, and the same for as long as the specification is."""
    return digest(["sample", plan.name, plan.runs[index].spec_id])
