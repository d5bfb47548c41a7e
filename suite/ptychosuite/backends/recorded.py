"""Work on a GPU that is recorded once, and launched as one from then on: CUDA graphs, of torch and of CuPy.

An iteration on a GPU is many small operations, and to launch each of them from Python takes longer than
what it does. What was recorded goes without Python, in one launch. It always does the same on the same
memory: work that is recorded reads and writes arrays that stay where they are, asks nothing that has to
wait for the device, and takes no decision by what it finds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import array_api_compat

from ptychosuite.backends.arrays import Array, is_on_gpu, namespace

Work = Callable[[], None]


class Recorder:
    """Records work on the device of ``like``; all that it has recorded shares one piece of memory.

    That is a pool and a stream: both libraries give memory again only on the stream on which it was freed.
    Only one of its recordings may be under way at a time, and all are launched on one stream.
    """

    def __init__(self, like: Array) -> None:
        self._graphs: type[_TorchGraph] | type[_CupyGraph] | None = None
        self._like, self.memory = like, None
        if is_on_gpu(like):
            self._graphs = _TorchGraph if array_api_compat.is_torch_array(like) else _CupyGraph
            self.memory = self._graphs.private_memory(like)

    def carry_out(self, work: Work) -> None:
        """``work`` as it is, its temporary arrays in the memory of the recordings."""
        if self._graphs is _CupyGraph:
            with self._graphs.using(self.memory):
                work()
        else:
            work()

    def record(self, work: Work) -> Any:
        """``work`` as something that has ``launch()``; None on the CPU, and where it cannot be recorded."""
        if self._graphs is None:
            return None
        try:
            return self._graphs(self.memory, work)
        except RuntimeError as error:  # what torch and CuPy raise for all that CUDA says
            warnings.warn(f"goes slowly, as it cannot be recorded on the GPU: {error}", stacklevel=2)
            self.memory = self._graphs.private_memory(self._like)  # nobody knows the state of the other
            return None


class Recording:
    """One piece of work, which is given anew with every call and is always the same.

    The first call carries it out, and so makes whatever is made once: plans of transforms, compiled kernels.
    The second records it. From then on it is launched. Every call carries it out on the CPU, and where work
    turns out to ask something that has to wait for the device, as that of a plug-in may.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._graph: Any = None
        self._calls = 0

    def carry_out(self, work: Work) -> None:
        if self._graph is None and self._calls == 1:
            self._graph = self._recorder.record(work)
        self._calls += 1
        if self._graph is None:
            self._recorder.carry_out(work)
        else:
            self._graph.launch()


class _TorchGraph:
    def __init__(self, memory: Any, work: Work) -> None:
        import torch

        pool, aside = memory
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.stream(aside):
            try:
                self._captured(pool, work)
            except RuntimeError:
                self._undone(pool)
                raise

    def _captured(self, pool: Any, work: Work) -> None:
        self._graph.capture_begin(pool=pool, capture_error_mode="thread_local")
        try:
            work()
        finally:
            self._graph.capture_end()

    @staticmethod
    def _undone(pool: Any) -> None:
        """What an end that fails leaves out: else all memory is given out as if a recording were under way.

        Where the end has done it, the first of these refuses, and the second is not come to.
        """
        import torch

        with suppress(RuntimeError, AttributeError):  # they are not public
            device = torch.cuda.current_device()
            torch._C._cuda_endAllocateToPool(device, pool)
            torch._C._cuda_releasePool(device, pool)

    @staticmethod
    def private_memory(like: Array) -> Any:
        import torch

        return torch.cuda.graph_pool_handle(), torch.cuda.Stream()

    def launch(self) -> None:
        self._graph.replay()


class _CupyGraph:
    def __init__(self, memory: Any, work: Work) -> None:
        self._memory = memory
        self._library, _, aside = memory
        # A recorded transform goes on using its plan, which therefore must not be thrown out.
        self._library.fft.config.get_plan_cache().set_size(-1)
        with aside, self.using(memory):
            aside.begin_capture()
            try:
                work()
            finally:
                graph = aside.end_capture()
        self._graph = graph

    @staticmethod
    def private_memory(like: Array) -> Any:
        """A pool that takes from CuPy's own, which counts it, and a stream.

        Where there is no more, CuPy's own looks for what it has to spare. A pool that asks the device would
        give back what only looks free: what was recorded uses it.
        """
        library = namespace(like)
        pool = library.cuda.MemoryPool(library.get_default_memory_pool().malloc)
        return library, pool, library.cuda.Stream(non_blocking=True)

    @staticmethod
    def using(memory: Any) -> Any:
        library, pool, _ = memory
        return library.cuda.using_allocator(pool.malloc)

    def launch(self) -> None:
        self._graph.launch(self._library.cuda.get_current_stream())
