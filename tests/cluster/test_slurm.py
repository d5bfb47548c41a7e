"""A real SLURM: jobs are submitted, compute a study on two nodes, and are gone at the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run, sessions

from tests.cluster import slurm
from tests.cluster.certificates import certificates
from tests.study.small import PROGRAM, install_test_solvers, run_files, study_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not() or "SLURM"),
]
AXES = "axes:\n  solver: [rpie, {name: magpie, levels: 2}]\n  seed: {range: 6}\n"
CLUSTER = """\
cluster: slurm
cores: 2
memory: 2GB
interface: lo
log_directory: logs
prologue: [echo on $SLURMD_NODENAME]
"""


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    """The slurm.conf of a running SLURM of two nodes."""
    with slurm.two_nodes(tmp_path_factory.mktemp("slurm")) as path:
        yield path


@pytest.fixture
def start(tmp_path, configuration):
    """Start ``ptychosuite run`` on a study and a cluster file."""
    plug_ins = install_test_solvers(tmp_path / "plug-ins")
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PYTHONPATH": plug_ins,
                   "HOME": str(tmp_path)}  # fmt: skip

    def call(axes: str, cluster: str) -> subprocess.Popen:
        (tmp_path / "cluster.yaml").write_text(cluster)
        study = study_file(tmp_path, axes)
        return subprocess.Popen(
            [sys.executable, "-m", "ptychosuite.cli", "run", str(study), "--cluster", "cluster.yaml"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment,
            start_new_session=True,
        )  # fmt: skip

    return call


def ended(process: subprocess.Popen, folder: Path) -> tuple[int, str, str]:
    """Exit code, output and errors, with the logs of the jobs where it does not end."""
    try:
        out, err = process.communicate(timeout=180)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
        logs = [file.read_text()[-2000:] for file in sorted((folder / "logs").glob("*"))]
        raise AssertionError("\n".join([*process.communicate(), *logs])) from None
    assert "Traceback" not in err, err
    return process.returncode, out, err


def wait_until_gone(configuration: Path) -> None:
    """Wait until SLURM has no job; cancelled ones take a moment to end."""
    end = time.monotonic() + 20
    while slurm.jobs(configuration):
        assert time.monotonic() < end, slurm.command(configuration, "squeue")
        time.sleep(0.2)


def test_a_study_on_two_nodes(tmp_path, configuration, start):
    """Every run ends in the store, both nodes take part, the session says where, and no job is left.

    Without a word about it, all speak TLS; of the certificates nothing is left either.
    """
    code, out, err = ended(start(AXES, CLUSTER + "workers: 4\n"), tmp_path)
    assert code == 0, err
    assert "12 completed" in out
    store = Store.open(tmp_path / "results/tiny")
    records = [read_run(file) for file in inventory(store).done.values()]
    assert len(records) == 12
    for record in records:
        threads = record.provenance["threads"]
        assert {value for key, value in threads.items() if key.endswith("NUM_THREADS")} == {"1"}
    (session,) = sessions(store)
    assert session["cluster"] == "slurm: 2 jobs of 2 workers"
    printed = sorted(file.read_text().strip() for file in (tmp_path / "logs").glob("*.out"))
    assert printed == ["on node1", "on node2"]
    for log in (tmp_path / "logs").glob("*.err"):
        assert "tls://127.0.0.1" in log.read_text()
        assert "tcp://" not in log.read_text()
    assert not any((tmp_path / ".ptychosuite").iterdir())
    wait_until_gone(configuration)


def test_growing_with_the_work_over_tls(tmp_path, configuration, start):
    """Between two numbers of jobs, scheduler and workers behind certificates."""
    ca, cert, key = certificates(tmp_path)
    tls = f"adapt: {{maximum: 2}}\nsecurity: {{ca_file: {ca}, cert: {cert}, key: {key}}}\n"
    code, out, err = ended(start(AXES, CLUSTER + tls), tmp_path)
    assert code == 0, err
    assert "12 completed" in out
    (session,) = sessions(Store.open(tmp_path / "results/tiny"))
    assert session["cluster"] == "slurm: up to 2 jobs of 2 workers"
    wait_until_gone(configuration)


def test_ctrl_c_cancels_the_jobs(tmp_path, configuration, start):
    """Ctrl-C ends with 130, keeps what is finished, and leaves no job and no worker."""
    slow = "axes:\n  solver: [{name: slow, seconds: 0.3}]\n  seed: {range: 40}\n"
    process = start(slow, CLUSTER)
    end = time.monotonic() + 60
    while len(run_files(tmp_path / "results/tiny")) < 2:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, process.kill() or process.communicate()
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = ended(process, tmp_path)
    assert code == 130
    assert "stopped; finished runs are kept" in err
    wait_until_gone(configuration)


def test_a_job_that_slurm_refuses(tmp_path, configuration, start):
    """What SLURM says is what the user reads; no job is left."""
    code, _, err = ended(start(AXES, CLUSTER.replace("2GB", "900GB")), tmp_path)
    assert code == 2
    assert "slurm took no job" in err
    assert "Requested node configuration is not available" in err
    assert "--dry-run" in err
    assert not slurm.jobs(configuration)


def test_dry_run_submits_nothing(tmp_path, configuration):
    """The job script is printed, and SLURM has heard of no job."""
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    study = study_file(tmp_path, AXES)
    done = subprocess.run(
        [*PROGRAM, "run", study, "--cluster", "cluster.yaml", "--dry-run", "--json"],
        capture_output=True, text=True, cwd=tmp_path, check=True,
        env={**os.environ, "SLURM_CONF": str(configuration)},
    )  # fmt: skip
    assert "#SBATCH --cpus-per-task=2" in json.loads(done.stdout)["job_script"]
    assert not slurm.jobs(configuration)


def test_a_job_array_of_shards(tmp_path, configuration):
    """Its tasks know nothing of each other; together they compute every run once."""
    study = study_file(tmp_path, AXES)
    script = tmp_path / "array.sh"
    call = " ".join([*PROGRAM, f"run {study} --cluster none --shard auto --json"])
    script.write_text(f"#!/bin/sh\n#SBATCH --array=1-3\n#SBATCH --output=task-%a.out\n{call}\n")
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PYTHONPATH": os.pathsep.join(sys.path)}
    submitted = ["sbatch", "--wait", "--chdir", str(tmp_path), str(script)]
    done = subprocess.run(submitted, env=environment, capture_output=True, text=True, timeout=120)
    said = [file.read_text() for file in sorted(tmp_path.glob("task-*.out"))]
    assert done.returncode == 0, (done.stderr, said)
    counts = [json.loads(text.splitlines()[-1])["counts"] for text in said]
    assert [each["completed"] for each in counts] == [4, 4, 4], said
    store = Store.open(tmp_path / "results/tiny")
    assert len(inventory(store).done) == 12
    assert len(list(sessions(store))) == 3
