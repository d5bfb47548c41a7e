"""Recordings without a GPU: what is carried out, recorded and launched when."""

import numpy as np
import pytest
from ptychosuite.backends.arrays import Backend, backend, to_numpy
from ptychosuite.backends.recorded import Recorder, Recording
from ptychosuite.errors import BackendError


class Graph:
    """In place of a CUDA graph."""

    def __init__(self, memory, work):
        self.work, self.launches = work, 0

    def launch(self):
        self.launches += 1


class Refused:
    def __init__(self, memory, work):
        raise RuntimeError("operation not permitted when stream is capturing")


def counting():
    calls = []
    return calls, lambda: calls.append(1)


def test_the_cpu_carries_out_every_call():
    calls, work = counting()
    recording = Recording(Recorder(np.zeros(1)))
    for _ in range(4):
        recording.carry_out(work)
    assert len(calls) == 4


def test_recorded_at_the_second_call():
    """Carried out once, recorded, launched from then on."""
    recorder = Recorder(np.zeros(1))
    recorder._graphs = Graph
    calls, work = counting()
    recording = Recording(recorder)
    for _ in range(4):
        recording.carry_out(work)
    assert len(calls) == 1
    assert recording._graph.launches == 3


def test_work_that_cannot_be_recorded():
    """It goes on as it is, and that is said once."""
    recorder = Recorder(np.zeros(1))
    recorder._graphs = Refused
    calls, work = counting()
    recording = Recording(recorder)
    recording.carry_out(work)
    with pytest.warns(UserWarning, match="cannot be recorded on the GPU: operation not permitted"):
        recording.carry_out(work)
    recording.carry_out(work)
    assert len(calls) == 3


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["torch-cuda", "cupy"])
def test_on_a_gpu(name):
    """Work on fixed arrays, with temporary ones, goes on from where it has ended."""
    try:
        chosen: Backend = backend(name)
    except BackendError as error:
        pytest.skip(str(error))
    x = chosen.asarray(np.arange(5.0))
    recording = Recording(Recorder(x))

    def work() -> None:
        x[...] = x + (x * 0 + 1)

    for _ in range(6):
        recording.carry_out(work)
        chosen.library.ones_like(x)  # other arrays take no memory of the recording
    np.testing.assert_array_equal(to_numpy(x), np.arange(5.0) + 6)


@pytest.mark.gpu
def test_work_that_waits_on_a_gpu():
    """torch refuses to record what asks for a number, and the work is done all the same."""
    try:
        chosen = backend("torch-cuda")
    except BackendError as error:
        pytest.skip(str(error))
    x = chosen.asarray(np.zeros(1))
    recording = Recording(Recorder(x))

    def work() -> None:
        x.add_(1.0 + 0 * x.item())

    recording.carry_out(work)
    with pytest.warns(UserWarning, match="cannot be recorded"):
        recording.carry_out(work)
    recording.carry_out(work)
    assert x.item() == 3
