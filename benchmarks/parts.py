"""Parts of a long measurement: each in processes of its own, within its own time, with its own file.

Only the standard library is needed, as the first part may install the others' packages.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OK, FAILED, TIMED_OUT, SKIPPED = "ok", "failed", "timed out", "skipped"
SKIP_CODE = 77  # with which a program says that it cannot be carried out here, as in GNU Automake
FIGURES = "{figures}"  # in a command: the file to which the part may write what it measures, as JSON
LAST_LINES = 60  # of the output
MARK = "PTYCHOSUITE_PART"  # in the environment of all processes of a part
GRACE_S = 5.0  # for killed processes to be gone


@dataclass(frozen=True)
class Part:
    """A command, and the most seconds that it may take; with a reason to skip it it is not begun."""

    name: str
    limit_s: float
    command: tuple[str, ...]
    skip: str = ""


@dataclass(frozen=True)
class Place:
    """Where parts run and write."""

    out: Path  # NAME.json of each part
    scratch: Path
    folder: Path  # where commands start; left out of what is written
    environment: Mapping[str, str]


def carry_out(part: Part, place: Place, limit_s: float | None = None) -> dict[str, Any]:
    """Run ``part``, for ``limit_s`` at most, and write what became of it; what it leaves behind is killed.

    Returns
    -------
    What is in the file: state, seconds, the last lines of the output, and the figures that the part has
    written, also where it failed or was ended.
    """
    limit_s = part.limit_s if limit_s is None else limit_s
    if part.skip:
        return written(place, part, {"state": SKIPPED, "reason": part.skip, "seconds": 0.0})
    figures, log = place.scratch / f"{part.name}.json", place.scratch / f"{part.name}.log"
    command = [word.replace(FIGURES, str(figures)) for word in part.command]
    begin = time.monotonic()
    code, left = run_marked(command, log, place, limit_s)
    seconds = time.monotonic() - begin
    lines = last_lines(log, place)
    state = TIMED_OUT if code is None else {0: OK, SKIP_CODE: SKIPPED}.get(code, FAILED)
    outcome = {
        "state": state,
        "reason": reason(state, code, limit_s, lines),
        "seconds": round(seconds, 1),
        "limit_s": round(limit_s, 1),
        "figures": read_json(figures),
        "last_lines": lines,
    }
    if left:
        outcome["processes_not_ended"] = left
    return written(place, part, outcome)


def run_marked(command: list[str], log: Path, place: Place, limit_s: float) -> tuple[int | None, int]:
    """The exit code, None where time was up; and how many processes would not end when killed."""
    mark = uuid.uuid4().hex
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                command,
                cwd=place.folder,
                env={**place.environment, MARK: mark},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            output.write(str(error).encode())
            return 127, 0
    code = None
    try:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(limit_s)
    finally:
        left = kill_all(process, mark)
    return code, left


def kill_all(process: subprocess.Popen[bytes], mark: str) -> int:
    """Kill the process group, and all with ``mark`` that have left it; how many are there all the same."""
    until = time.monotonic() + GRACE_S
    while True:
        if process.poll() is None:
            kill_group(process.pid)
        remaining = marked(mark)
        for pid in remaining:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if process.poll() is not None and not remaining:
            return 0
        if time.monotonic() > until:
            return len(remaining) or 1
        time.sleep(0.05)


def kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Processes that have ``mark`` in their environment; none where the system does not show it."""
    found = []
    for file in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() in file.read_bytes():
                found.append(int(file.parent.name))
    return found


def reason(state: str, code: int | None, limit_s: float, lines: list[str]) -> str:
    """Why a part is not ok, in one line."""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    match state:
        case "timed out":
            return f"not done after {limit_s:.0f} s"
        case "skipped":
            return last
        case "failed" if code is not None and code < 0:
            return f"ended by signal {-code}"
        case "failed":
            return f"exit code {code}: {last}"
    return ""


def last_lines(log: Path, place: Place) -> list[str]:
    """The end of an output, without the names of folders of this machine."""
    text = log.read_bytes()[-200_000:].decode(errors="replace")
    for folder, name in ((place.scratch, "SCRATCH"), (place.folder, "."), (Path.home(), "~")):
        text = text.replace(str(folder), name)
    return [line[:400] for line in text.splitlines()[-LAST_LINES:]]


def written(place: Place, part: Part, outcome: dict[str, Any]) -> dict[str, Any]:
    content = {"part": part.name, **outcome}
    write_json(place.out / f"{part.name}.json", content)
    return content


def read_json(path: Path) -> Any:
    """What a part has written; None where that is nothing, or cut off."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: Any) -> None:
    """Whole or not at all: a program may be killed while it writes."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content, indent=1) + "\n")
    new.replace(path)
