"""Which task of a job array this process is, as the batch system tells it by environment variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ptychosuite.errors import StudyError

AUTO = "auto"


@dataclass(frozen=True)
class ArrayVariables:
    """The variables of a batch system: a task's index, and its array's first, last, step and number of tasks.

    What has no variable is empty: an array is then taken to begin at 1.
    """

    system: str
    index: str
    first: str = ""
    last: str = ""
    step: str = ""
    number: str = ""


SYSTEMS = (
    ArrayVariables(
        "SLURM",
        "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_MIN",
        "SLURM_ARRAY_TASK_MAX",
        "SLURM_ARRAY_TASK_STEP",
        "SLURM_ARRAY_TASK_COUNT",
    ),
    ArrayVariables("SGE", "SGE_TASK_ID", "SGE_TASK_FIRST", "SGE_TASK_LAST", "SGE_TASK_STEPSIZE"),
    ArrayVariables("LSF", "LSB_JOBINDEX", last="LSB_JOBINDEX_END", step="LSB_JOBINDEX_STEP"),
    ArrayVariables("PBS", "PBS_ARRAY_INDEX"),
    ArrayVariables("Torque", "PBS_ARRAYID"),
)
NO_TASK = ("", "0", "undefined")
"""What LSF and SGE say outside an array."""


def share_of_task(environ: Mapping[str, str], number: int | None = None) -> tuple[int, int]:
    """The place of this task in its job array, from 1, and the number of tasks.

    Parameters
    ----------
    number
        Shares, where the array is not to say it.

    Raises
    ------
    StudyError
        This is no task of an array, or the batch system does not say enough of it.
    """
    system = next((each for each in SYSTEMS if _is_task(environ, each)), None)
    if system is None:
        raise StudyError(
            "--shard auto: this is no task of a job array, as none of "
            f"{', '.join(each.index for each in SYSTEMS)} is set; say which share it is, as in --shard 2/8"
        )
    index, first, step = (
        _number(environ, system.index),
        _number(environ, system.first, 1),
        _number(environ, system.step, 1),
    )
    place = (index - first) // step + 1
    if number is None:
        number = _tasks(environ, system, first, step)
    if not 1 <= place <= number:
        raise StudyError(
            f"--shard auto: {system.index} is {index}, share {place} of {number}; let the array begin at 1, "
            f"or say which share it is, as in --shard 2/{number}"
        )
    return place, number


def _is_task(environ: Mapping[str, str], system: ArrayVariables) -> bool:
    found = environ.get(system.index, "")
    return bool(found) and (found not in NO_TASK or (found == "0" and system.system not in ("LSF", "SGE")))


def _tasks(environ: Mapping[str, str], system: ArrayVariables, first: int, step: int) -> int:
    """How many tasks the array has, where they are evenly spaced."""
    if not system.last or system.last not in environ:
        raise StudyError(
            f"--shard auto: {system.system} does not tell a task how many there are; "
            "say the number of shares, as in --shard auto/8 of an array from 1 to 8"
        )
    last = _number(environ, system.last)
    number = (last - first) // step + 1
    if system.number in environ and _number(environ, system.number) != number:
        raise StudyError(
            f"--shard auto: the array has {environ[system.number]} tasks between {first} and {last}, which "
            "are not evenly spaced; submit an array such as 1-8, or say which share it is, as in --shard 2/8"
        )
    return number


def _number(environ: Mapping[str, str], name: str, default: int | None = None) -> int:
    found = environ.get(name, "") if name else ""
    if not found and default is not None:
        return default
    if not found.isdecimal() or len(found) > 9:
        raise StudyError(
            f"--shard auto: {name} is '{found}'; expected a number. Say the share, as in --shard 2/8"
        )
    return int(found)
