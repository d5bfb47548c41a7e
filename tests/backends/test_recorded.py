"""Recordings without a GPU: what is carried out, recorded and launched when."""

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
from ptychosuite.backends import recorded
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


class Device:
    """What torch and CuPy do when they record, written down: where, on which stream, and how it ended."""

    def __init__(self):
        self.recorded, self.made, self.stream = [], [], None

    def new(self, what):
        self.made.append(what)
        return f"{what} {len(self.made)}"

    @contextmanager
    def on(self, stream):
        before, self.stream = self.stream, stream
        yield stream
        self.stream = before


@pytest.fixture
def torch_device(monkeypatch):
    torch, device = pytest.importorskip("torch"), Device()

    class CUDAGraph:
        def capture_begin(self, pool, capture_error_mode):
            device.recorded.append((pool, device.stream))

        def capture_end(self):
            pass

    monkeypatch.setattr(torch.cuda, "CUDAGraph", CUDAGraph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: device.new("stream"))
    monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: device.new("pool"))
    monkeypatch.setattr(torch.cuda, "stream", device.on)
    return device, recorded._TorchGraph


@pytest.fixture
def cupy_device(monkeypatch):
    device = Device()

    class Stream:
        def __init__(self, non_blocking):
            self.name = device.new("stream")

        def __enter__(self):
            device.stream = self.name

        def __exit__(self, *error):
            device.stream = None

        def begin_capture(self):
            device.recorded.append((device.pool, device.stream))

        def end_capture(self):
            pass

    class MemoryPool:
        def __init__(self):
            device.pool = device.new("pool")

        def malloc(self, size):
            pass

    cuda = SimpleNamespace(Stream=Stream, MemoryPool=MemoryPool, using_allocator=lambda malloc: nullcontext())
    plans = SimpleNamespace(get_plan_cache=lambda: SimpleNamespace(set_size=lambda size: None))
    library = SimpleNamespace(cuda=cuda, fft=SimpleNamespace(config=plans))
    monkeypatch.setattr(recorded, "namespace", lambda like: library)
    return device, recorded._CupyGraph


@pytest.fixture(params=["torch_device", "cupy_device"])
def device_and_recorder(request, monkeypatch):
    device, graph = request.getfixturevalue(request.param)
    monkeypatch.setattr(recorded, "is_on_gpu", lambda like: True)
    is_torch = graph is recorded._TorchGraph
    monkeypatch.setattr(recorded.array_api_compat, "is_torch_array", lambda like: is_torch)
    return device, Recorder(np.zeros(1))


def test_recordings_share_their_memory(device_and_recorder):
    """All are made in one pool and on one stream: memory that was freed on another one is not given again."""
    device, recorder = device_and_recorder
    for _ in range(3):
        recorder.record(lambda: None)
    assert sorted(device.made) == ["pool", "stream"]
    assert len(device.recorded) == 3
    assert len(set(device.recorded)) == 1
    assert device.recorded[0][1].startswith("stream")


def reserved_bytes(chosen: Backend) -> int:
    """What the library has taken of the device."""
    if chosen.name == "cupy":
        return chosen.library.get_default_memory_pool().total_bytes()
    return chosen.library.cuda.memory_reserved()


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
@pytest.mark.parametrize("name", ["torch-cuda", "cupy"])
def test_another_recording_takes_no_more_of_a_gpu(name):
    try:
        chosen: Backend = backend(name)
    except BackendError as error:
        pytest.skip(str(error))
    x = chosen.asarray(np.zeros(2**22))
    recorder, taken = Recorder(x), []

    def work() -> None:
        x[...] = x + (x * 0 + 1)

    for _ in range(3):
        recording = Recording(recorder)
        for _ in range(3):
            recording.carry_out(work)
        taken.append((recording, reserved_bytes(chosen)))  # a recording that is gone would leave its memory
    assert taken[0][1] == taken[1][1] == taken[2][1]
    assert float(x[0]) == 9


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
