"""Recordings without a GPU: what is carried out, recorded and launched when."""

from collections import Counter
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

    @staticmethod
    def private_memory(like):
        return "other memory"


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
    assert recorder.memory == "other memory"


class Device:
    """What torch and CuPy do when they record, written down: where, on which stream, and how it ended."""

    def __init__(self):
        self.recorded, self.made, self.stream = [], [], None
        self.under_way, self.uses, self.ends = [], Counter(), True  # of pools; whether a recording can end

    def new(self, what):
        self.made.append(what)
        return f"{what} {len(self.made)}"

    @contextmanager
    def on(self, stream):
        before, self.stream = self.stream, stream
        try:
            yield stream
        finally:
            self.stream = before


@pytest.fixture
def torch_device(monkeypatch):
    torch, device = pytest.importorskip("torch"), Device()

    class CUDAGraph:
        def capture_begin(self, pool, capture_error_mode):
            device.recorded.append((pool, device.stream))
            device.under_way.append(pool)
            device.uses[pool] += 1

        def capture_end(self):
            if not device.ends:
                raise RuntimeError("operation failed due to a previous error during capture")
            device.under_way.remove(device.recorded[-1][0])

    def end(number, pool):
        if pool not in device.under_way:
            raise RuntimeError("not currently recording to mempool_id")
        device.under_way.remove(pool)

    def release(number, pool):
        device.uses[pool] -= 1

    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end)
    monkeypatch.setattr(torch._C, "_cuda_releasePool", release)
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
        def __init__(self, allocator=None):
            self.allocator, device.pool = allocator, device.new("pool")

        def malloc(self, size):
            return self.allocator(size)

    own = SimpleNamespace(malloc=lambda size: device.made.append(f"{size} bytes of CuPy's own pool"))
    cuda = SimpleNamespace(Stream=Stream, MemoryPool=MemoryPool, using_allocator=lambda malloc: nullcontext())
    plans = SimpleNamespace(get_plan_cache=lambda: SimpleNamespace(set_size=lambda size: None))
    library = SimpleNamespace(
        cuda=cuda, fft=SimpleNamespace(config=plans), get_default_memory_pool=lambda: own
    )
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


def test_cupy_takes_the_memory_of_recordings_from_its_own_pool(cupy_device):
    """Which counts it, and which gives nothing away that recordings use where there is no more."""
    device, graphs = cupy_device
    _, pool, _ = graphs.private_memory(None)
    pool.malloc(512)
    assert device.made == ["pool", "stream", "512 bytes of CuPy's own pool"]


def test_nothing_is_left_of_a_recording_that_fails(torch_device):
    """Where it does not end, torch's memory is told of it, and what comes next is recorded elsewhere."""
    device, graphs = torch_device
    recorder = Recorder(np.zeros(1))
    recorder._graphs, recorder.memory = graphs, graphs.private_memory(None)
    first = recorder.memory
    assert recorder.record(lambda: None) is not None
    device.ends = False
    with pytest.warns(UserWarning, match="cannot be recorded on the GPU: operation failed"):
        assert recorder.record(lambda: None) is None
    device.ends = True
    assert device.under_way == []
    assert device.uses == {first[0]: 1}
    assert recorder.memory[0] != first[0]
    assert recorder.record(lambda: None) is not None


def test_work_that_fails_while_it_is_recorded(torch_device):
    """The recording ends by itself, and the memory is not let go of twice."""
    device, graphs = torch_device
    memory = graphs.private_memory(None)

    def work() -> None:
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        graphs(memory, work)
    assert device.under_way == []
    assert device.uses == {memory[0]: 1}  # until the graph is gone


def test_a_torch_that_cannot_undo(torch_device, monkeypatch):
    """What it says is that it cannot record."""
    device, graphs = torch_device
    device.ends = False
    monkeypatch.delattr(pytest.importorskip("torch")._C, "_cuda_endAllocateToPool")
    with pytest.raises(RuntimeError, match="operation failed"):
        graphs(graphs.private_memory(None), lambda: None)


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
@pytest.mark.parametrize("name", ["torch-cuda", "cupy"])
def test_recordings_that_are_gone_leave_no_memory(name):
    """As a run begins, the device has what recordings of the runs before it took."""
    try:
        chosen: Backend = backend(name)
    except BackendError as error:
        pytest.skip(str(error))
    x, taken = chosen.asarray(np.zeros(2**22)), []

    def work() -> None:
        x[...] = x + (x * 0 + 1)

    for _ in range(3):
        recording = Recording(Recorder(x))
        for _ in range(3):
            recording.carry_out(work)
        del recording
        chosen.synchronise()
        chosen.reset_peak_memory()
        taken.append(reserved_bytes(chosen))
    assert taken[0] == taken[1] == taken[2]


@pytest.mark.gpu
def test_work_that_waits_on_a_gpu():
    """torch refuses to record what asks for a number, and it is done all the same, as is what follows."""
    try:
        chosen = backend("torch-cuda")
    except BackendError as error:
        pytest.skip(str(error))
    x = chosen.asarray(np.zeros(1))
    recorder = Recorder(x)
    recording, other = (Recording(recorder) for _ in range(2))

    def work() -> None:
        x.add_(1.0 + 0 * x.item())

    recording.carry_out(work)
    with pytest.warns(UserWarning, match="cannot be recorded"):
        recording.carry_out(work)
    recording.carry_out(work)
    assert x.item() == 3
    for _ in range(3):
        other.carry_out(lambda: x.add_(1.0))
    assert other._graph is not None
    assert x.item() == 6
