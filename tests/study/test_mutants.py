"""Damaged studies: each is planned, or refused in one sentence with its place, soon and in little memory."""

from __future__ import annotations

import re
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from ptychosuite.api.planning import plan
from ptychosuite.cli import ptychosuite
from ptychosuite.errors import StudyError
from ptychosuite.study import axis_values, expand

from tests.study.small import PROGRAM, REPOSITORY

FAST, SLOW = 300, 3_000
LIMIT_S = 10  # on a busy machine
LIMIT_KB = 600_000  # that all mutants together may add
FEW_RUNS = 300  # may be planned here, so that no mutant is merely a large study
PLACE = re.compile(r":\d+:\d+: ")
LEAVES_TIME = 6_000  # bytes of a study that is planned soon

Fault = Callable[[list[str], int, np.random.Generator], None]


def flip(lines: list[str], at: int, rng: np.random.Generator) -> None:
    """A character becomes another."""
    line = lines[at]
    place = int(rng.integers(max(len(line), 1)))
    strange = "\x00\x1b\t:#&*!?|>'\"%@`{}[],-\u202e\u200b\ufeff\ud7ff\U0001f600\u0660é~0"
    lines[at] = line[:place] + str(rng.choice(list(strange))) + line[place + 1 :]


def delete(lines: list[str], at: int, rng: np.random.Generator) -> None:
    del lines[at : at + int(rng.integers(1, 4))]


def repeat(lines: list[str], at: int, rng: np.random.Generator) -> None:
    lines[at:at] = lines[at : at + int(rng.integers(1, 4))] * int(rng.choice([1, 1, 1, 300]))


def swap(lines: list[str], at: int, rng: np.random.Generator) -> None:
    other = int(rng.integers(len(lines)))
    lines[at], lines[other] = lines[other], lines[at]


def indent(lines: list[str], at: int, rng: np.random.Generator) -> None:
    lines[at] = str(rng.choice(["  ", " ", "\t", "    ", " " * 5000])) + lines[at].lstrip(" ")


def dedent(lines: list[str], at: int, rng: np.random.Generator) -> None:
    lines[at] = lines[at].lstrip(" ")


def cut(lines: list[str], at: int, rng: np.random.Generator) -> None:
    lines[at] = lines[at][: int(rng.integers(len(lines[at]) + 1))]
    if rng.random() < 0.3:
        del lines[at + 1 :]


TAGS = (
    "!!int x !!float y !!bool z !!null n !!timestamp t !!binary ? !!set {a} !!omap [a:1] !!map m !!seq s "
    "!!python/object/apply:os.system [ls] !foo x !!str [1] !!int [] !!merge x ! x !!pairs [a:1] !!float 1:x "
    "!<tag:yaml.org,2002:int> q !!int 0x !!int 1_ !!float . !!timestamp 2001-99-99"
).split(" !")


def tag(lines: list[str], at: int, rng: np.random.Generator) -> None:
    """A value gets a type that it is not of."""
    written = str(rng.choice(TAGS)).removeprefix("!")
    replace_value(lines, at, f"!{written}" if rng.random() < 0.7 else f"!{written.split(' ')[0]} ", rng)


VALUES = (
    "", "null", "~", "on", "off", "-1", "0", "1", "1e400", "-.inf", ".nan", "1e-320", "9" * 5000,
    "1" + "0" * 400, "0x" + "f" * 400, "-9223372036854775809", "1_000", "0o17", "1:30:00", "2001-01-01",
    "2001-99-99", "''", "[]", "{}", "[[]]", "[{}]", "[null]", "{null: null}", "{1: 2}", "{[a]: b}",
    "{{a: b}: c}", "{? [a] : b}", "[on, off, 1, a, 1.5, null]", "{range: 1000000000000}",
    "{range: [0, 1000000000000, 1]}", "{range: -3}", "{range: []}", "{range: [0, 1, 0]}", "{range: a}",
    "{range: [1, 2, 3, 4]}", "{range: [0, 9, 1.5]}", "{linspace: [0, 1, 1000000000000]}",
    "{linspace: [0, 1e308, 3]}", "{linspace: [-1e308, 1e308, 3]}", "{linspace: [0, 1, 2.5]}",
    "{linspace: [a, b, 3]}", "{geomspace: [1e-320, 1e308, 9]}", "{geomspace: [1, 1" + "0" * 400 + ", 3]}",
    "{linspace: [0, 1" + "0" * 70 + ", 4]}", "{range: 1" + "0" * 70 + "}",
    "{geomspace: [1, 2, 1000000000000]}", "{range: 400}", "[" * 5000, "[" * 30 + "]" * 30, "{a: " * 5000,
    "- " * 3000, "? " * 3000, "x" * 200_000, '"' + "\\0" * 9 + '"', '"\\x1b[2J\\x07"', '"\\u202eabc"',
    '"a\\nb"', '"\\ud800"', '"' + "a/" * 5000 + '"', '"${HOME}/\\0"', "${" + "A" * 300 + "}",
    "../../../../etc/passwd", "/dev/zero", "/dev/null", "/", ".", "~", "~nobody/x", "x" * 300 + ".npy",
    "s3://x", "http://[", "file://", "&a [*a]", "&a {b: *a}", "&a [&b [*a, *b]]", "*nowhere", "&a", "& a",
    "<<", "{<<: 3}", "{<<: [1]}", "{<<: &a {<<: *a}}", "os:system", "os.path:join", "no.such:Thing",
    "a:b:c", ":", "::", "ptychosuite.cli:main", "{kind: os:system}", "{kind: file, path: /dev/zero}",
    "{kind: file, path: .}", "{name: }", "{kind: [a]}", "{name: {a: b}}", "[rpie, rpie]",
    "[{name: rpie, iterations: 1}, {name: magpie}]", "{name: staged, stages: []}", "staged",
    "{name: staged}", "100000000", "{complex64: 1, complex128: a}", "{where: 3}", "[{seed: 0}]",
    "[{seed: [0]}]", "{seed: 0}", "texture", "0.5", "3",
)  # fmt: skip


def replace_value(lines: list[str], at: int, value: str, rng: np.random.Generator) -> None:
    """One of the values of a line becomes ``value``."""
    found = list(re.finditer(r"(?<=[:,\[-] )[^ ,\]}{\[]+|(?<=: )[{\[].*", lines[at]))
    if found:
        spot = found[int(rng.integers(len(found)))]
        lines[at] = lines[at][: spot.start()] + value + lines[at][spot.end() :]
    else:
        lines[at] += f" {value}"


def value(lines: list[str], at: int, rng: np.random.Generator) -> None:
    replace_value(lines, at, str(rng.choice(VALUES)), rng)


KEYS = (
    "? [a]", "'null'", "null", "1", "1.5", "on", "[a, b]", "{a: b}", "<<", '"a\\nb"', '"\\0"', "''",
    "problem..x", ".", "problem.", ".problem", "problem.object.0", "solver.0.alpha",
    "solver.stages.0.alpha", "solver.stages.x", "&a problem", "!!int seed", "!!str seed", "x" * 2000,
    "seed.x", "problem.object.size.x", "fast_forward.x.y", "metrics", "metrics.0", "snapshots",
    "stop.iterations", "problem.probe.kind", "__class__", "problem.__dict__", "\u202eseed", "problem",
    "solver", "figures", "axes", "zip", "exclude", "include", "sample", "check", "train", "seed",
    "start_probe", "problem.start_probe", "problem.start_object.where", "where", "problem.path",
    "problem.hold_out", "problem.start_probe.study",
)  # fmt: skip


def key(lines: list[str], at: int, rng: np.random.Generator) -> None:
    """One of the keys of a line becomes another."""
    found = list(re.finditer(r"[\w.]+(?=:)", lines[at]))
    if found:
        spot = found[int(rng.integers(len(found)))]
        lines[at] = lines[at][: spot.start()] + str(rng.choice(KEYS)) + lines[at][spot.end() :]


NAMES = (
    "where", "metric", "value", "panel", "line", "pool", "show", "x", "y", "title", "width", "scale",
    "compare", "solver", "noise", "seed", "alpha", "size", "levels", "kind", "name", "path", "stages",
    "iterations", "key",
)  # fmt: skip


def add(lines: list[str], at: int, rng: np.random.Generator) -> None:
    """An entry that the study does not have."""
    head, what = str(rng.choice(KEYS)), str(rng.choice(VALUES))
    if rng.random() < 0.5:
        head, what = str(rng.choice(["axes", "check", "stop", "solver", "problem"])), f"{{{head}: {what}}}"
    elif rng.random() < 0.5:
        head, what = (
            str(rng.choice(["exclude", "include", "zip", "figures", "axes"])),
            f"[{{{head}: {what}}}]",
        )
    lines.append(f"{head}: {what}")


def insert(lines: list[str], at: int, rng: np.random.Generator) -> None:
    """A mapping in braces gets one more entry."""
    found = [(row, spot.end()) for row, line in enumerate(lines) for spot in re.finditer(r"\{(?=\w)", line)]
    if found:
        row, place = found[int(rng.integers(len(found)))]
        what = str(rng.choice(VALUES))
        if rng.random() < 0.3:
            what = f"{{{rng.choice(NAMES)}: {what}}}"
        lines[row] = f"{lines[row][:place]}{rng.choice(NAMES)}: {what}, {lines[row][place:]}"


def laugh(lines: list[str], at: int, rng: np.random.Generator) -> None:
    """Aliases of aliases."""
    wide = int(rng.integers(1, 12))
    links = [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * wide)}]" for i in range(1, 60)]
    lines[at:at] = ["a0: &a0 [x]", *links] if rng.random() < 0.5 else ["axes: &a0 {seed: [0]}", *links]


def entitle(lines: list[str], at: int, rng: np.random.Generator) -> None:
    titles = ("<script>alert(1)</script>", "\\u202e", "\\x1b]0;x\\x07", "x" * 100_000)
    lines.append(f'title: "{rng.choice(titles)}"')


FAULTS: tuple[Fault, ...] = (
    flip, flip, delete, repeat, swap, indent, dedent, cut, tag, value, value, value, value, key, key, add,
    add, insert, insert, laugh, entitle,
)  # fmt: skip


def damaged(text: str, rng: np.random.Generator) -> bytes:
    """``text`` with one to three faults, now and then in another encoding."""
    lines = text.split("\n")
    for _ in range(rng.integers(1, 4)):
        FAULTS[rng.integers(len(FAULTS))](lines, int(rng.integers(len(lines))), rng)
        lines = lines or [""]
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    if rng.random() < 0.06:
        odd = ("utf-16", "utf-32", "latin-1", "utf-7", "cp037")
        return content.decode().encode(str(rng.choice(odd)), "replace")
    if rng.random() < 0.06:
        at = int(rng.integers(len(content) + 1))
        return content[:at] + rng.bytes(int(rng.integers(1, 40))) + content[at:]
    return content


def outcome(path: Path) -> str:
    """What becomes of a study when it is planned; anything but one sentence with its place raises."""
    try:
        planned = plan(path, results=path.parent)
        assert planned.text(3)
    except StudyError as error:
        message = str(error)
        assert message.startswith(str(path)), message[:300]
        assert PLACE.match(message.removeprefix(str(path))), message[:300]
        assert message.isprintable(), message[:300]
        assert len(message) < 1500, message[:300]
        return message
    return ""


def said_at_the_command_line(path: Path, message: str) -> None:
    """The command says the same, and leaves with 2, or with 0 where the study is good."""
    result = CliRunner().invoke(ptychosuite, ["plan", str(path), "--results", str(path.parent)])
    assert str(result.exception or "") == message
    assert getattr(result.exception, "exit_code", 0) == (2 if message else 0)


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Texts of the shipped studies that are planned soon; the measured ones lack their data."""
    monkeypatch.setattr(expand, "MOST_RUNS", FEW_RUNS)
    monkeypatch.setattr(axis_values, "MOST_RUNS", FEW_RUNS)
    monkeypatch.setenv("PTYCHOSUITE_DATA", str(tmp_path))
    files = sorted((REPOSITORY / "studies").rglob("*.yaml"))
    return [file.read_text() for file in files if file.stat().st_size < LEAVES_TIME]


def check_mutants(folder: Path, texts: list[str], seeds: range) -> None:
    refused = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in seeds:
        path = folder / f"{seed}.yaml"
        path.write_bytes(damaged(texts[seed % len(texts)], np.random.default_rng(seed)))
        start = time.monotonic()
        try:
            message = outcome(path)
            if seed % 20 == 0:
                said_at_the_command_line(path, message)
        except Exception as error:
            raise AssertionError(f"mutant {seed}") from error
        assert time.monotonic() - start < LIMIT_S, f"mutant {seed}: {path.read_bytes()[:2000]!r}"
        refused += message != ""
        path.unlink()
    assert 0.5 * len(seeds) < refused < len(seeds)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < LIMIT_KB


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("seed: !!int x", "2:7"),
        ("axes: &a {seed: *a}", "2:7"),
        ("axes: {seed: {range: 1000000000000}}", "2:8"),
        ("problem: " + "[" * 10_000, "2:49"),
        ("a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 99)), "16:"),
        ('"\\e[2J": "\\u202e"', "2:1"),
    ],
)
def test_the_program_says_one_sentence(tmp_path: Path, line: str, place: str) -> None:
    """No traceback, nothing that steers the terminal, exit code 2."""
    path = tmp_path / "bad.yaml"
    path.write_text(f"study: t\n{line}\n")
    result = subprocess.run([*PROGRAM, "plan", str(path)], capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stdout == ""
    (said,) = result.stderr.splitlines()
    assert said.startswith(f"ptychosuite: {path}:{place}")
    assert said.isprintable()


def test_endless_files(tmp_path: Path) -> None:
    """What has no end is not read to it."""
    with pytest.raises(StudyError, match="more than 1048576 bytes"):
        plan("/dev/zero", results=tmp_path)


def test_mutants(tmp_path: Path, studies: list[str]) -> None:
    check_mutants(tmp_path, studies, range(FAST))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_many_mutants(tmp_path: Path, studies: list[str]) -> None:
    check_mutants(tmp_path, studies, range(FAST, FAST + SLOW))
