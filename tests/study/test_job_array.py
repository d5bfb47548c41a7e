"""Which share of a study a task of a job array has."""

from __future__ import annotations

import pytest
from ptychosuite.errors import StudyError
from ptychosuite.study.choice import Share
from ptychosuite.study.job_array import SYSTEMS, share_of_task


def slurm(index, first, last, step=1, count=None):
    names = ("ID", "MIN", "MAX", "STEP", "COUNT")
    number = (last - first) // step + 1 if count is None else count
    return {
        f"SLURM_ARRAY_TASK_{name}": str(value)
        for name, value in zip(names, (index, first, last, step, number), strict=True)
    }


def sge(index, first, last, step=1):
    names = ("ID", "FIRST", "LAST", "STEPSIZE")
    return {
        f"SGE_TASK_{name}": str(value) for name, value in zip(names, (index, first, last, step), strict=True)
    }


def lsf(index, last, step=1):
    return {"LSB_JOBINDEX": str(index), "LSB_JOBINDEX_END": str(last), "LSB_JOBINDEX_STEP": str(step)}


@pytest.mark.parametrize(
    "tasks",
    [
        [slurm(i, 1, 8) for i in range(1, 9)],
        [slurm(i, 0, 7) for i in range(8)],
        [slurm(i, 5, 23, 6) for i in range(5, 24, 6)],
        [sge(i, 1, 4) for i in range(1, 5)],
        [sge(i, 2, 9, 3) for i in range(2, 10, 3)],
        [lsf(i, 5) for i in range(1, 6)],
        [lsf(i, 7, 3) for i in (1, 4, 7)],
        [{"SLURM_ARRAY_TASK_ID": "", **sge(i, 1, 2)} for i in (1, 2)],
    ],
)
def test_tasks_have_every_share_once(tasks):
    assert [share_of_task(task) for task in tasks] == [(i, len(tasks)) for i in range(1, len(tasks) + 1)]


def test_pbs_needs_the_number_of_shares(monkeypatch):
    for each in SYSTEMS:
        monkeypatch.delenv(each.index, raising=False)
    for name in ("PBS_ARRAY_INDEX", "PBS_ARRAYID"):
        with monkeypatch.context() as patch:
            patch.setenv(name, "3")
            assert str(Share.of("auto/8")) == "3/8"
            with pytest.raises(
                StudyError, match="how many there are; say the number of shares, as in --shard auto/8"
            ):
                Share.of("auto")
            with pytest.raises(StudyError, match="share 3 of 2"):
                Share.of("auto/2")


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "no task of a job array"),
        ({"LSB_JOBINDEX": "0"}, "no task of a job array"),
        ({"SGE_TASK_ID": "undefined"}, "no task of a job array"),
        (slurm(3, 1, 7, count=3), "3 tasks between 1 and 7, which are not evenly spaced"),
        ({"SLURM_ARRAY_TASK_ID": "x"}, "SLURM_ARRAY_TASK_ID is 'x'"),
        ({"PBS_ARRAY_INDEX": "1"}, "PBS does not tell"),
    ],
)
def test_what_is_said_elsewhere(environ, said):
    with pytest.raises(StudyError, match=said):
        share_of_task(environ)


def test_auto_as_a_choice(monkeypatch):
    for name, value in slurm(2, 1, 3).items():
        monkeypatch.setenv(name, value)
    assert Share.of(" auto ") == Share(2, 3)
    assert Share.of("auto/5") == Share(2, 5)
    for text in ("auto/0", "auto/x", "automatic", "auto/"):
        with pytest.raises(StudyError, match="expected a share"):
            Share.of(text)
