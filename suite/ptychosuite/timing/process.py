"""One of two versions, as seen by who compares them: a process that answers and never outlives its use."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ptychosuite.cluster.workers import ONE_THREAD
from ptychosuite.errors import TimingError
from ptychosuite.timing.other_version import Version

PROGRAM = Path(__file__).with_name("side.py")
LONGEST_ANSWER_S = 1800.0
LONGEST_FAREWELL_S = 5.0
LAST_LINES = 3


@dataclass(frozen=True)
class Sample:
    """How long some work took."""

    seconds: float  # of the device, or of the thread on its core
    wall_seconds: float


class Side:
    """The process of ``version`` on ``core``, or on any where that is None."""

    def __init__(self, version: Version, core: int | None) -> None:
        self.version = version
        self._said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        command = [str(version.python), "-P", str(PROGRAM), *(() if core is None else (str(core),))]
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._said}
        try:
            self._process = subprocess.Popen(
                command, text=True, env=_environment(version.import_path), **pipes
            )
        except OSError as error:
            raise TimingError(f"{version.name}: {version.python} cannot be started ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def prepare(self, spec: Mapping[str, Any], iterations: int) -> Mapping[str, Any]:
        """Set up one case; seconds of its first, cold sample and the device it ran on.

        Raises
        ------
        TimingError
            This side cannot carry the case out, or is not the code that was to be timed.
        """
        answer = self._ask(do="prepare", spec=spec, iterations=iterations)
        source = self.version.import_path
        if source is not None and Path(answer["package"]).parent != source.resolve():
            raise TimingError(
                f"{self.version.name}: expected the package in {source}, found that of {answer['package']}"
            )
        return answer

    def sample(self, iterations: int, repeats: int) -> Sample:
        """Time of ``repeats`` runs of ``iterations`` from their start; raises TimingError."""
        return Sample(**self._ask(do="sample", iterations=iterations, repeats=repeats))

    def _ask(self, **request: Any) -> Mapping[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        patience = threading.Timer(LONGEST_ANSWER_S, self._process.kill)
        patience.start()
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            patience.cancel()
        answer: dict[str, Any] = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise TimingError(f"{self.version.name} cannot carry it out: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        """What is known of a process that has ended."""
        code = self._process.wait(LONGEST_FAREWELL_S)
        self._said.seek(0)
        lines = [line for line in self._said.read().splitlines() if line.strip()][-LAST_LINES:]
        return "; ".join([f"its process ended with code {code}", *lines])


def _environment(source: Path | None) -> dict[str, str]:
    """Variables of a side: one thread, the same hashes in both, and its own package first on the path."""
    variables = {**os.environ, **ONE_THREAD, "NUMBA_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    before = variables.pop("PYTHONPATH", "")
    if source is not None:
        variables["PYTHONPATH"] = os.pathsep.join([str(source), *filter(None, [before])])
    return variables
