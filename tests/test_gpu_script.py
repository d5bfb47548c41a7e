"""``make gpu`` without a GPU: what becomes of parts that fail, hang or cannot be, and a dry run of all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "benchmarks"
# starts a process of a session of its own, says which, and waits for it
HANGS = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
open(sys.argv[1], "w").write('{"half": "done"}')
child.wait()
"""
LEAVES = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("child", child.pid, flush=True)
"""


@pytest.fixture
def parts(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    return import_module("parts")


@pytest.fixture
def gpu(parts):
    return import_module("gpu")


@pytest.fixture
def place(parts, tmp_path):
    for name in ("out", "scratch"):
        (tmp_path / name).mkdir()
    return parts.Place(tmp_path / "out", tmp_path / "scratch", tmp_path, dict(os.environ))


def python(parts, name, code, limit_s=60.0, **more):
    return parts.Part(name, limit_s, (sys.executable, "-c", code, parts.FIGURES), **more)


def kept(place, name):
    return json.loads((place.out / f"{name}.json").read_text())


def is_there(pid):
    """A process that is no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def child_of(outcome):
    return int(next(line for line in outcome["last_lines"] if line.startswith("child")).split()[1])


def test_a_part_that_is_done(parts, place):
    """Its figures are in its file."""
    outcome = parts.carry_out(python(parts, "good", "import sys; open(sys.argv[1], 'w').write('[1]')"), place)
    assert outcome == kept(place, "good")
    assert (outcome["state"], outcome["figures"], outcome["reason"]) == ("ok", [1], "")


def test_a_part_that_fails(parts, place):
    """The last line is the reason; no folder of this machine is in the file."""
    code = f"print('first'); raise SystemExit('no such thing in {place.folder}/data')"
    outcome = parts.carry_out(python(parts, "bad", code), place)
    assert outcome["state"] == "failed"
    assert outcome["reason"] == "exit code 1: no such thing in ./data"
    assert str(place.folder) not in (place.out / "bad.json").read_text()
    assert outcome["figures"] is None


def test_a_part_that_is_killed(parts, place):
    outcome = parts.carry_out(python(parts, "gone", "import os; os.kill(os.getpid(), 9)"), place)
    assert (outcome["state"], outcome["reason"]) == ("failed", "ended by signal 9")


def test_a_program_that_is_not_there(parts, place):
    outcome = parts.carry_out(parts.Part("none", 5, ("/no/such/program",)), place)
    assert outcome["state"] == "failed"
    assert "No such file" in outcome["reason"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
def test_a_part_that_hangs(parts, place):
    """It is ended in time with its children, those of other sessions too; what it had written is kept."""
    begin = time.monotonic()
    outcome = parts.carry_out(python(parts, "hangs", HANGS), place, limit_s=4)
    assert time.monotonic() - begin < 15
    assert (outcome["state"], outcome["reason"]) == ("timed out", "not done after 4 s")
    assert outcome["figures"] == {"half": "done"}
    assert not is_there(child_of(outcome))
    assert "processes_not_ended" not in outcome


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found in /proc")
def test_a_part_that_leaves_processes_behind(parts, place):
    """They do not disturb the next part."""
    outcome = parts.carry_out(python(parts, "leaves", LEAVES), place)
    assert outcome["state"] == "ok"
    assert not is_there(child_of(outcome))


def test_parts_that_are_skipped(parts, place):
    """By who asks, without being begun, or by themselves."""
    outcome = parts.carry_out(python(parts, "left out", "raise SystemExit(1)", skip="no time"), place)
    assert (outcome["state"], outcome["reason"]) == ("skipped", "no time")
    code = f"print('not installed'); raise SystemExit({parts.SKIP_CODE})"
    outcome = parts.carry_out(python(parts, "itself", code), place)
    assert (outcome["state"], outcome["reason"]) == ("skipped", "not installed")


@pytest.fixture
def fakes(gpu, parts, monkeypatch):
    """Parts by their code, in place of the real ones: what ``main`` leaves with, and the summary."""

    def main(out, *arguments, **codes):
        made = {
            name: lambda _, n=name, c=code: python(parts, n, c, 3 if n == "hangs" else 60)
            for name, code in codes.items()
        }
        monkeypatch.setattr(gpu, "PARTS", made)
        monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(out), *arguments])
        monkeypatch.setattr(gpu.signal, "signal", lambda *_: None)
        code = 0
        try:
            gpu.main()
        except SystemExit as ended:
            code = ended.code
        return code, json.loads((out / "summary.json").read_text())

    return main


SETUP = (
    """import json, sys; json.dump({"device": {"torch": {"gpu_model": "none"}}}, open(sys.argv[1], "w"))"""
)


def states(summary):
    return {part["part"]: part["state"] for part in summary["parts"]}


def test_all_parts_are_tried(fakes, tmp_path, capsys):
    """One that fails and one that hangs cost themselves alone, and the exit code tells."""
    code, summary = fakes(
        tmp_path,
        setup=SETUP,
        fails="raise SystemExit('broken')",
        hangs="import time; time.sleep(60)",
        good="",
    )
    assert code == 1
    assert states(summary) == {"setup": "ok", "fails": "failed", "hangs": "timed out", "good": "ok"}
    assert summary["device"] == {"torch": {"gpu_model": "none"}}
    assert "    broken" in capsys.readouterr().out.splitlines()


def test_good_and_skipped_parts_are_no_failure(fakes, tmp_path):
    code, summary = fakes(tmp_path, setup=SETUP, absent="raise SystemExit(77)")
    assert code == 0
    assert states(summary) == {"setup": "ok", "absent": "skipped"}


def test_without_a_device_nothing_else_is_begun(fakes, tmp_path):
    """What a call before has written does not stay to be taken for this one's."""
    (tmp_path / "more.json").write_text("{}")
    (tmp_path / "mine.json").write_text("{}")
    code, summary = fakes(tmp_path, setup="raise SystemExit('no device')", more="raise SystemExit(1)")
    assert code == 1
    assert states(summary) == {"setup": "failed", "more": "skipped"}
    assert json.loads((tmp_path / "more.json").read_text())["reason"] == "no device, as setup says"
    assert (tmp_path / "mine.json").exists()


def test_later_parts_get_what_is_left(fakes, gpu, monkeypatch, tmp_path):
    """All parts together end in time."""
    monkeypatch.setattr(gpu, "TOTAL_S", 4.0)
    monkeypatch.setattr(gpu, "TOO_LITTLE_S", 1.0)
    begin = time.monotonic()
    _, summary = fakes(tmp_path, setup=SETUP, slow="import time; time.sleep(60)", last="")
    assert time.monotonic() - begin < 15
    assert states(summary) == {"setup": "ok", "slow": "timed out", "last": "skipped"}


def test_chosen_parts(gpu):
    """In the order in which they are carried out, with setup; a wrong name is wrong usage."""
    assert gpu.parsed(["--parts", "speed,tests"]).parts == ("setup", "tests", "speed")
    for wrong in (["--parts", "nonsense"], ["--limit-scale", "0"]):
        with pytest.raises(SystemExit) as ended:
            gpu.parsed(wrong)
        assert ended.value.code == 2


def test_limits_fit_into_eight_minutes(gpu, tmp_path):
    """Whatever hangs; and every part has its file and its place in the documents."""
    machine = gpu.Machine(("torch-cuda", "cupy"), False, None, tmp_path, tmp_path)
    made = [make(machine) for make in gpu.PARTS.values()]
    assert gpu.TOTAL_S < 480
    assert [part.name for part in made] == list(gpu.PARTS)
    page = (REPOSITORY / "docs" / "gpu.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in gpu.PARTS)


WITHOUT_TIMEOUT = """
import sys
sys.modules["pytest_timeout"] = None  # as where it is not installed
import gpu_tests
gpu_tests.main()
"""


def test_without_pytest_timeout(tmp_path):
    """The tests go on without it, though the repository has settings for it."""
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TIMEOUT, "--figures", figures, "tests/backends/test_recorded.py"],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": path_with(FOLDER)},
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert sum(sum(each.values()) for each in json.loads(figures.read_text())["outcomes"].values()), (
        done.stdout + done.stderr
    )


def path_with(folder):
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


@pytest.mark.slow
def test_dry_run(tmp_path):
    """Every part's own code runs, on torch and NumPy; peers are skipped where they are not installed."""
    done = subprocess.run(
        [sys.executable, FOLDER / "gpu.py", "--dry-run", "--out", tmp_path, "--limit-scale", "20"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {s for name, s in states(summary).items() if name != "peers"} == {"ok"}
    assert states(summary)["peers"] in ("ok", "skipped")
    figures = {
        part: json.loads((tmp_path / f"{part}.json").read_text())["figures"] for part in states(summary)
    }
    assert figures["tests"]["outcomes"]["torch-cuda"]["passed"] > 0
    assert figures["tests"]["outcomes"]["cupy"]["passed"] > 0
    assert figures["quickstart"]["counts"]["completed"] == 16
    assert figures["quickstart"]["largest_difference_from_numpy"]["torch"]["residual"] < 1e-2
    assert figures["sweep"]["counts"]["completed"] == 8
    assert set(figures["speed"]["seconds"]) == {"solvers", "ways", "sizes", "patterns"}
    assert len(figures["training"]["seconds_of_each_epoch"]) == 2
