"""Pages of the docs, done in their order: files are written, commands carried out."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

from tests.conftest import REPOSITORY

FILE = r"```\w+\n# ([\w.]+)\n(.*?)```"
STEP = re.compile(FILE + r"|^ {4,}((?:PYTHONPATH=\. )?ptychosuite [^\n]*)$", re.MULTILINE | re.DOTALL)


def do_page(page: str, command: Callable[..., tuple[int, str, str]], also: str = "") -> list[str]:
    """Write the files of ``page`` and carry its commands out; which commands these were.

    A Python file is executed where it is the one of the name ``also``.
    """
    done = []
    for step in STEP.finditer((REPOSITORY / "docs" / page).read_text(encoding="utf-8")):
        file, content, call = step.groups()
        if file:
            Path(file).write_text(content)
            if file == also:
                exec(compile(content, file, "exec"), {})
            continue
        words = shlex.split(call.removeprefix("PYTHONPATH=. "), comments=True)[1:]
        code, out, err = command(*words)
        assert code == 0, (call, out, err)
        done.append(words[0])
    return done
