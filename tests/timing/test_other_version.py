"""What can be named as an other_version, and how it is made ready."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psutil
import pytest
from ptychosuite.errors import RevisionError, TimingError
from ptychosuite.timing import other_version as module
from ptychosuite.timing.other_version import READY, build_environment, other_version, same_environment

from tests.timing import stand_in
from tests.timing.conftest import wait_for

PROJECT = '[project]\nname = "p"\nversion = "1"\ndependencies = ["numpy"]\n'


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks: a wheel of ptychosuite 0.0.7 that needs nothing."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "ptychosuite-0.0.7.dist-info"
    files = {
        "ptychosuite/__init__.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: ptychosuite\nVersion: 0.0.7\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(folder / "ptychosuite-0.0.7-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_revision_is_checked_out_once_and_the_repository_left_alone(repository, cache):
    version = other_version("start", repository)
    assert version.source == cache / "revisions" / stand_in.git(repository, "rev-parse", "start") / "source"
    assert (version.source / "suite" / "ptychosuite" / "work.py").read_text() == stand_in.step()
    assert stand_in.git(repository, "worktree", "list").count("\n") == 0
    assert stand_in.git(repository, "status", "--porcelain") == ""
    (version.source / "kept").touch()
    assert (other_version("start", repository).source / "kept").exists()


def test_the_heads_environment_serves_where_the_same_is_asked_for(repository):
    version = other_version("start", repository)
    assert version.python == Path(sys.executable)
    assert version.origin["packages"].startswith("of the head")


def test_what_makes_an_environment_another(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        (folder / "pyproject.toml").write_text(PROJECT)
        (folder / "constraints.txt").write_text("numpy==2.4.6\n")
    assert same_environment(first, second)
    (second / "pyproject.toml").write_text(PROJECT.replace("version = ", "description = 'new'\nversion = "))
    assert same_environment(first, second)
    (second / "pyproject.toml").write_text(PROJECT.replace('"numpy"', '"numpy", "scipy"'))
    assert not same_environment(first, second)
    (second / "pyproject.toml").write_text(PROJECT)
    (second / "constraints.txt").write_text("numpy==2.4.5\n")
    assert not same_environment(first, second)


def test_a_revision_with_another_lock_gets_an_environment_of_its_own(repository, monkeypatch):
    (repository / "constraints.txt").write_text("numpy==2.0.0\n")
    asked = []
    monkeypatch.setattr(module, "build_environment", lambda *given: asked.append(given) or Path("python"))
    version = other_version("start", repository)
    assert version.python == Path("python")
    assert version.origin["packages"].startswith("its own")
    ((folder, requirement),) = asked
    assert folder == version.source.parent / sys.implementation.cache_tag
    assert requirement[-1].startswith(str(version.source))


def test_a_release_is_installed_once(wheels, cache):
    version = other_version("ptychosuite==0.0.7")
    where = [version.python, "-I", "-c", "import ptychosuite; print(ptychosuite.__file__)"]
    found = subprocess.run(where, capture_output=True, text=True, check=True)
    assert str(cache / "releases" / "0.0.7") in found.stdout
    assert version.source is None
    (wheels / "ptychosuite-0.0.7-py3-none-any.whl").unlink()
    assert other_version("ptychosuite==0.0.7").python == version.python


def test_a_release_that_is_nowhere_says_what_pip_said(wheels, cache):
    with pytest.raises(TimingError, match=r"(?s)could not be built.*No matching distribution"):
        other_version("ptychosuite==9.9.9")
    assert not list(cache.rglob(READY))


def test_what_a_killed_build_left_is_built_anew(wheels, tmp_path):
    folder = tmp_path / "environment"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half of it")
    python = build_environment(folder, ["ptychosuite==0.0.7"])
    assert (folder / READY).exists()
    subprocess.run([python, "-I", "-c", "import ptychosuite"], check=True)


def test_an_interpreter_is_taken_as_it_is():
    version = other_version(sys.executable)
    assert (version.python, version.source) == (Path(sys.executable), None)


@pytest.mark.parametrize(
    ("against", "message"),
    [
        ("yesterday", "found no revision 'yesterday'"),
        ("/no/such/python", "found no revision '/no/such/python'"),
        ("ptychosuite==", "expected a version"),
    ],
)
def test_what_does_not_exist_is_refused(repository, against, message):
    with pytest.raises(RevisionError, match=message):
        other_version(against, repository)


def test_without_git_the_error_says_so(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RevisionError, match="git is needed"):
        other_version("start", repository)


def test_a_revision_needs_a_checkout(tmp_path, cache):
    with pytest.raises(RevisionError, match="is no git checkout"):
        other_version("HEAD", tmp_path)


def test_a_killed_build_is_waited_for_and_then_built_anew(wheels, tmp_path, monkeypatch):
    """The builder dies, its pip lives on for a while: nobody builds beside it."""
    folder = tmp_path / "environment"
    slow_pip, go = tmp_path / "pip.py", tmp_path / "go"
    slow_pip.write_text(f"import time, os\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n")
    program = (
        "import sys; from pathlib import Path; from ptychosuite.timing import other_version as e; "
        "run = e._run; "
        f"e._run = lambda command, lock: run([sys.executable, {str(slow_pip)!r}], lock); "
        f"e.build_environment(Path({str(folder)!r}), [])"
    )
    builder = subprocess.Popen([sys.executable, "-c", program])
    wait_for(lambda: psutil.Process(builder.pid).children())
    builder.kill()
    builder.wait()
    begun: list[bool] = []
    run = module._run
    monkeypatch.setattr(module, "_run", lambda *given: begun.append(go.exists()) or run(*given))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(build_environment, folder, ["ptychosuite==0.0.7"])
        wait([waiting], timeout=0.5)
        go.touch()
        waiting.result(120.0)
    assert begun
    assert all(begun), "it was built before the other's pip had ended"
    assert (folder / READY).exists()
