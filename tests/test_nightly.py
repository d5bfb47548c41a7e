"""One night, as GitHub Actions, cron and SLURM carry it out: .ci/nightly and what calls it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.conftest import REPOSITORY

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
NIGHTLY = REPOSITORY / ".github" / "workflows" / "nightly.yml"
EXAMPLES = REPOSITORY / "docs" / "examples"
SCRIPTS = [REPOSITORY / ".ci" / "nightly", EXAMPLES / "nightly-cron", EXAMPLES / "nightly.sbatch"]

# stands for the command: notes its arguments, and leaves as the variable of the subcommand's name says
STAND_IN = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$CALLS"
eval exit "\\${$1:-0}"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A git checkout with the scripts, a baseline, and a stand-in for ptychosuite."""
    root = tmp_path / "checkout"
    for file in SCRIPTS:
        target = root / file.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    command = root / ".venv" / "bin" / "ptychosuite"
    command.parent.mkdir(parents=True)
    command.write_text(STAND_IN)
    command.chmod(0o755)
    (command.parents[1] / ".dev-ready").touch()
    (root / "Makefile").write_text(".venv/.dev-ready:\n")
    for folder in ("results/baselines", "reports"):
        (root / folder).mkdir(parents=True)
    commit(root, "results/baselines/nightly.json", "{}")
    commit(root, "code.py", "later")
    return root


def commit(root: Path, file: str, content: str) -> None:
    (root / file).write_text(content)
    git(root, "init", "--quiet")
    git(root, "add", file)
    git(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "-m", file)


def git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", *arguments], cwd=root, check=True, capture_output=True, text=True
    ).stdout.strip()


def carry_out(
    checkout: Path, script: str, *arguments: str, **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """How ``script`` ended, and the calls of ptychosuite that it made."""
    calls = checkout / "calls"
    result = subprocess.run(
        [str(checkout / script), *arguments],
        env={"PATH": os.environ["PATH"], "CALLS": str(calls), **variables},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return result, calls.read_text().splitlines() if calls.exists() else []


def test_night(checkout):
    """Run, check beside the commit that brought the baseline, trend; arguments go to the check."""
    brought = git(checkout, "rev-parse", "HEAD~1")
    result, calls = carry_out(checkout, ".ci/nightly", "--junit", "out.xml")
    assert result.returncode == 0, result.stderr
    assert calls == [
        "run studies/nightly.yaml --cluster local",
        f"check studies/nightly.yaml --baseline nightly --time-against {brought} --junit out.xml",
        "trend studies/nightly.yaml",
    ]


@pytest.mark.parametrize(("failing", "code", "number_of_calls"), [
    ("check", "1", 3), ("check", "2", 3), ("check", "3", 3),
    ("run", "2", 1), ("run", "130", 1), ("trend", "2", 3),
])  # fmt: skip
def test_night_leaves_as_the_check_does(checkout, failing, code, number_of_calls):
    """The page is drawn whatever was found; a run that cannot be carried out ends the night."""
    result, calls = carry_out(checkout, ".ci/nightly", **{failing: code})
    assert result.returncode == (2 if failing == "run" else int(code))
    assert len(calls) == number_of_calls


def test_failed_runs_are_for_the_check_to_judge(checkout):
    """They may have failed before."""
    result, calls = carry_out(checkout, ".ci/nightly", run="1")
    assert result.returncode == 0
    assert len(calls) == 3


def test_night_with_a_gpu(checkout):
    """Another baseline, another axis: to both commands that plan the study."""
    commit(checkout, "results/baselines/nightly-gpu.json", "{}")
    variables = {"BASELINE": "nightly-gpu", "CLUSTER": "cuda", "SET": "backend=[numpy, torch-cuda]"}
    _, calls = carry_out(checkout, ".ci/nightly", **variables)
    head = git(checkout, "rev-parse", "HEAD")
    assert calls[0] == "run studies/nightly.yaml --cluster cuda --set backend=[numpy, torch-cuda]"
    assert calls[1].endswith(
        f"--set backend=[numpy, torch-cuda] --baseline nightly-gpu --time-against {head}"
    )


def test_night_beside_a_release(checkout):
    """Times are taken beside what REFERENCE names."""
    _, calls = carry_out(checkout, ".ci/nightly", REFERENCE="v0.1.0")
    assert calls[1].endswith("--time-against v0.1.0")


def test_night_without_a_baseline(checkout):
    """Says how to make one, before anything is computed."""
    result, calls = carry_out(checkout, ".ci/nightly", BASELINE="other")
    assert (result.returncode, calls) == (2, [])
    assert "ptychosuite baseline save other studies/nightly.yaml" in result.stderr


@pytest.fixture
def followed(checkout: Path) -> Path:
    """A checkout that can pull, with make and flock at hand."""
    if not shutil.which("flock") or not shutil.which("make"):
        pytest.skip("flock or make is not on this machine")
    origin = checkout.with_name("origin.git")
    git(checkout, "clone", "--quiet", "--bare", ".", str(origin))
    git(checkout, "remote", "add", "origin", str(origin))
    git(checkout, "fetch", "--quiet")
    branch = git(checkout, "branch", "--show-current")
    git(checkout, "branch", "--quiet", f"--set-upstream-to=origin/{branch}")
    return checkout


@pytest.mark.parametrize(("code", "words"), [
    ("0", ""),
    ("1", "nightly: regression"),
    ("2", "nightly: not carried out"),
    ("3", "nightly: could not judge"),
])  # fmt: skip
def test_cron_mails_only_what_is_not_good(followed, code, words):
    """Nothing is printed after a good night; the log is kept after each."""
    result, _ = carry_out(followed, "docs/examples/nightly-cron", check=code)
    assert result.returncode == int(code), result.stdout + result.stderr
    assert result.stdout.startswith(words)
    assert bool(result.stdout) == bool(words)
    assert len(list((followed / "reports").glob("nightly-*.log"))) == 1


def test_cron_leaves_a_night_out_while_another_is_at_work(followed):
    """Two at once would time each other."""
    with subprocess.Popen(["flock", "results/.nightly.lock", "sh", "-c", "echo held; read _"],
                          cwd=followed, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:  # fmt: skip
        assert other.stdout is not None
        other.stdout.readline()
        result, calls = carry_out(followed, "docs/examples/nightly-cron")
        other.communicate(b"\n")
    assert (result.returncode, calls) == (3, [])
    assert "still at work" in result.stdout


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts(script):
    """Executable, and Bash understands them."""
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", str(script)], check=True)


def steps(workflow: Path) -> list[dict[str, Any]]:
    content = YAML(typ="safe").load(workflow)
    return [step for job in content["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows(workflow):
    """Actions are pinned to a major version; by default nothing may be written."""
    content = YAML(typ="safe").load(workflow)
    assert content["permissions"] == {"contents": "read"}
    for step in steps(workflow):
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/checkout@v1"))
    for script in re.findall(r"\.ci/\w+", workflow.read_text(encoding="utf-8")):
        assert os.access(REPOSITORY / script, os.X_OK)


def test_writing_job_runs_no_code_of_the_repository():
    """Only the job that keeps the verdicts may push."""
    jobs = YAML(typ="safe").load(NIGHTLY)["jobs"]
    writing = [name for name, job in jobs.items() if "write" in (job.get("permissions") or {}).values()]
    assert writing == ["keep"]
    commands = " ".join(step.get("run", "") for step in jobs["keep"]["steps"])
    assert not re.search(r"\.ci/|make|python|ptychosuite", commands)


def test_a_night_is_red_in_three_ways():
    """Each exit code but 0 has a step of its own that fails, with its own title."""
    run = " ".join(
        step.get("run", "") for step in steps(REPOSITORY / ".github" / "workflows" / "nightly.yml")
    )
    assert re.findall(r"::error title=([^:]+)::", run) == ["Regression", "Could not judge", "Not carried out"]
