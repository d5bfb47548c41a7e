"""Every kind of cluster that one machine can have: it starts, carries out a study, and leaves nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from ptychosuite.cluster.cluster_file import connect
from ptychosuite.errors import ClusterError

from tests.cluster.certificates import certificates
from tests.conftest import REPOSITORY
from tests.study.small import carry_out, plan_text, study_file

AXES = "axes: {seed: {range: 3}}\n"


def workers_of_this_process() -> list[psutil.Process]:
    """Processes that this one has started, but for those that only keep its books or fork others."""
    me = psutil.Process()
    helpers = [child for child in me.children() if "multiprocessing" in command_line(child)]
    return [p for p in me.children(recursive=True) if p.is_running() and p not in helpers]


def command_line(process: psutil.Process) -> str:
    """Empty where the process has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def left_after_a_moment(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended within some seconds."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        processes = [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        if not processes:
            break
        time.sleep(0.1)
    return processes


def listening(process: psutil.Process) -> set[str]:
    """Addresses a process listens on."""
    return {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN}


def cluster_file(folder, text: str) -> str:
    (folder / "cluster.yaml").write_text(text)
    return str(folder / "cluster.yaml")


@pytest.fixture
def scheduler(tmp_path):
    """Start Dask's own commands, a scheduler and a worker; return the scheduler file."""
    processes = []

    def start(scheduler_options=(), worker_options=()):
        file = tmp_path / "scheduler.json"
        dask = [sys.executable, "-m", "dask"]
        here = ["--host", "127.0.0.1", "--dashboard-address", "127.0.0.1:0", "--no-dashboard"]
        commands = (
            [*dask, "scheduler", *here, "--port", "0", "--scheduler-file", file, *scheduler_options],
            [*dask, "worker", *here, "--nthreads", "1", "--scheduler-file", file, *worker_options],
        )
        for command in commands:
            processes.append(subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=tmp_path))
            end = time.monotonic() + 60
            while not file.exists():
                assert time.monotonic() < end
                time.sleep(0.05)
        return file

    yield start
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


def wait_for_worker(where: str) -> None:
    with connect(where) as connection:
        connection.client.wait_for_workers(1, timeout=60)


def test_local_listens_on_loopback_only_and_leaves_nothing(tmp_path):
    """Scheduler, workers and dashboard are out of reach of other machines; at the end no process is left."""
    before = set(workers_of_this_process())
    with connect(cluster_file(tmp_path, "cluster: local\nworkers: 2\n")) as connection:
        assert connection.description == "2 local workers, one thread each"
        assert (connection.offers, connection.workers) == ({"CPU"}, 2)
        own = set(workers_of_this_process()) - before
        assert len(own) == 2
        for process in (psutil.Process(), *own):
            assert listening(process) == {"127.0.0.1"}
    assert set(workers_of_this_process()) == before


def test_an_error_leaves_no_process():
    """What goes wrong inside takes the cluster down too."""
    before = set(workers_of_this_process())
    with pytest.raises(ZeroDivisionError), connect("local", 1):
        raise ZeroDivisionError
    assert set(workers_of_this_process()) == before


def test_ctrl_c_while_the_cluster_starts(tmp_path):
    """A terminal's Ctrl-C reaches workers that are still starting, too: all end in good order."""
    study = study_file(tmp_path, AXES)
    process = subprocess.Popen(
        [sys.executable, "-m", "ptychosuite.cli", "run", str(study), "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "suite")},
    )  # fmt: skip
    started: list[psutil.Process] = []
    while sum("forkserver" in command_line(child) for child in started) < 2:  # the server, and a worker
        assert process.poll() is None, process.communicate()
        started = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped" in err
    assert "Traceback" not in err
    assert not left_after_a_moment(started)


def test_an_interface_that_is_not_there(tmp_path):
    """Dask's own message names those that are."""
    with (
        pytest.raises(ClusterError, match=r"did not start: .*nix0.*lo"),
        connect(cluster_file(tmp_path, "cluster: local\nworkers: 1\ninterface: nix0\n")),
    ):
        pass


def test_a_running_scheduler_by_file_and_by_address(tmp_path, scheduler):
    """Both ways lead to the same workers, which go on when the sweep has ended."""
    file = scheduler(worker_options=["--resources", "GPU=1"])
    wait_for_worker(str(file))
    plan = plan_text(tmp_path, AXES)
    address = json.loads(file.read_text())["address"]
    for number, where in enumerate((str(file), address)):
        with connect(where) as connection:
            assert connection.description == f"1 worker at {address}"
            assert connection.offers == {"GPU"}
        _, tally = carry_out(plan, tmp_path / str(number), cluster=where, workers=None)
        assert tally.counts == {"completed": 3}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read the scheduler file"),
        ("{", "no Dask scheduler file"),
        ("[1]", "no Dask scheduler file"),
        ('{"id": "x"}', "no Dask scheduler file"),
        ('{"address": "tcp://127.0.0.1:9"}', "no Dask scheduler answers at tcp://127.0.0.1:9"),
    ],
)
def test_bad_scheduler_files(tmp_path, content, message, monkeypatch):
    """A file that is missing, is something else, or is of a scheduler that has ended."""
    monkeypatch.setattr("ptychosuite.cluster.kinds.external.ANSWER_S", 0.5)

    file = tmp_path / "scheduler.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ClusterError, match=message), connect(str(file)):
        pass


def test_any_class_that_can_be_imported(tmp_path):
    """Options go to the class; the number of workers can be fixed or follow the work."""
    options = "{n_workers: 0, threads_per_worker: 1, dashboard_address: null}"
    plan = plan_text(tmp_path, AXES)
    for number, size in enumerate(("workers: 2\n", "adapt: {maximum: 2}\n")):
        file = cluster_file(tmp_path, f"cluster: distributed:LocalCluster\noptions: {options}\n{size}")
        _, tally = carry_out(plan, tmp_path / str(number), cluster=file, workers=None)
        assert tally.counts == {"completed": 3}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nowhere.to:Find", "cannot be imported: No module"),
        ("distributed:Nowhere", "cannot be imported: .*Nowhere"),
        ("distributed:Worker", "no Dask cluster; expected a subclass"),
    ],
)
def test_classes_that_are_none(word, message):
    """Each way of being wrong is said."""
    with pytest.raises(ClusterError, match=message), connect(word):
        pass


def test_options_that_a_class_does_not_know(tmp_path):
    """What the class raises is passed on."""
    file = cluster_file(tmp_path, "cluster: distributed:SpecCluster\noptions: {colour: red}\n")
    with pytest.raises(ClusterError, match=r"SpecCluster did not start: .*colour"), connect(file):
        pass


def security(folder, name: str = "suite") -> str:
    """The line of a cluster file that names new certificates."""
    ca, cert, key = certificates(folder, name)
    return f"security: {{ca_file: {ca}, cert: {cert}, key: {key}}}\n"


def test_a_local_cluster_behind_tls(tmp_path):
    """A sweep runs over tls://; without a certificate of the same authority nobody gets in."""
    from distributed import Client

    ours, others = security(tmp_path), security(tmp_path, "stranger")
    plan = plan_text(tmp_path, AXES)
    with connect(cluster_file(tmp_path, "cluster: local\n" + ours), 1) as connection:
        address = connection.client.scheduler.address
        assert address.startswith("tls://127.0.0.1:")
        client_file = cluster_file(tmp_path, f"cluster: {address}\n{ours}")
        _, tally = carry_out(plan, tmp_path, cluster=client_file, workers=None)
        assert tally.counts == {"completed": 3}
        with pytest.raises(OSError, match=r"Timed out|closed"):
            Client(address.replace("tls", "tcp"), timeout="1s")
        with pytest.raises(ClusterError, match=r"do not go together.*'security:"), connect(address):
            pass
        stranger = cluster_file(tmp_path, f"cluster: {address}\n{others}")
        with pytest.raises(ClusterError, match="no Dask scheduler answers"), connect(stranger):
            pass


def test_a_certificate_that_is_none(tmp_path):
    """A file that is no certificate is an error of the user's, not a traceback."""
    for name in ("ca.pem", "me.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate")
    file = cluster_file(
        tmp_path, "cluster: local\nworkers: 1\nsecurity: {ca_file: ca.pem, cert: me.pem, key: key.pem}\n"
    )
    with pytest.raises(ClusterError, match="did not start"), connect(file):
        pass


def test_cuda_without_dask_cuda(monkeypatch):
    """The missing package is named with the line that installs it."""
    monkeypatch.setitem(sys.modules, "dask_cuda", None)
    with pytest.raises(ClusterError, match=r"pip install 'ptychosuite\[gpu\]'"), connect("cuda"):
        pass


def test_batch_systems_without_dask_jobqueue(monkeypatch):
    """Likewise."""
    monkeypatch.setitem(sys.modules, "dask_jobqueue", None)
    with pytest.raises(ClusterError, match=r"pip install 'ptychosuite\[jobqueue\]'"), connect("slurm"):
        pass


@pytest.mark.gpu
def test_cuda_serves_gpu_and_cpu_runs(tmp_path):
    """One worker a GPU, CPU workers beside them; each run on its own kind, its device in the provenance."""
    pytest.importorskip("dask_cuda")
    pytest.importorskip("cryptography")  # for the TLS of its connections
    from ptychosuite.store.read import inventory, read_run

    plan = plan_text(tmp_path, "axes: {backend: [numpy, torch-cuda], seed: {range: 3}}\n")
    store, tally = carry_out(plan, tmp_path, cluster="cuda", workers=1)
    assert tally.counts == {"completed": 6}
    for file in inventory(store).done.values():
        record = read_run(file)
        assert bool(record.provenance.get("gpu_uuid")) == (record.spec.backend == "torch-cuda")
