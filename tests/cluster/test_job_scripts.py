"""Batch systems: the job that would be submitted, and what is missing for one."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec

import pytest
from ptychosuite.cluster.cluster_file import cluster_settings, connect
from ptychosuite.errors import ClusterError

from tests.cluster.certificates import certificates

# not importorskip: importing it changes what Ctrl-C does
pytestmark = pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed")
JOB = "cores: 8\nmemory: 16GB\ninterface: lo\nqueue: short\n"
HEADS = {
    "slurm": ["#SBATCH -p short", "#SBATCH --cpus-per-task=8", "#SBATCH --mem=15G"],
    "pbs": ["#PBS -q short", "#PBS -l select=1:ncpus=8:mem=15GB"],
    "lsf": ["#BSUB -q short", "#BSUB -n 8"],
    "sge": ["#$ -q short"],
}
GPU_HEADS = {
    "slurm": "#SBATCH --gres=gpu:2",
    "pbs": "#PBS -l select=1:ncpus=8:ngpus=2:mem=16GB",
    "lsf": '#BSUB -gpu "num=2"',
}


@pytest.fixture
def script(tmp_path):
    """The job script of a cluster file of these lines."""

    def write(system: str, lines: str = "") -> str:
        file = tmp_path / "cluster.yaml"
        file.write_text(f"cluster: {system}\n{JOB}{lines}")
        return cluster_settings(str(file)).job_script()

    return write


@pytest.mark.parametrize("system", HEADS)
def test_cpu_jobs(script, system):
    """One worker a core with one thread; no spilling; workers listen on their interface alone."""
    text = script(system, "prologue: [module load python]\ndirectives: [-x y]\nwalltime: '01:00'\n")
    lines = text.splitlines()
    assert set(HEADS[system]) <= set(lines)
    assert any(line.startswith("#") and line.endswith(" -x y") for line in lines)
    assert any(line.startswith("#") and "01:00" in line for line in lines)
    assert "export OMP_NUM_THREADS=1" in lines
    assert "export DASK_DISTRIBUTED__WORKER__MEMORY__SPILL=False" in lines
    assert "module load python" in lines
    worker = lines[-1]
    for part in ("--nthreads 1 ", "--nworkers 8 ", "--nanny ", "--resources CPU=1 ", "--interface lo",
                 "--preload ptychosuite.cluster.preload ", "--dashboard-address 127.0.0.1:0 "):  # fmt: skip
        assert part in worker


@pytest.mark.parametrize("system", HEADS)
def test_gpu_jobs(script, system):
    """One worker a GPU, by dask-cuda, with a pool for CuPy where one is asked for; GPUs are asked for."""
    text = script(system, "gpus: 2\nrmm_pool: 0.8\n")
    assert GPU_HEADS.get(system, "") in text
    worker = text.splitlines()[-1]
    assert "-m dask_cuda.cli tls://" in worker
    for part in (
        "--resources GPU=1 ",
        "--rmm-pool-size 0.8 ",
        "--set-rmm-allocator-for-libs cupy ",
        "--preload ptychosuite.cluster.preload ",
    ):
        assert part in worker
    assert worker.rindex("--nthreads 1 ") > worker.index("--nthreads 4 ")  # of several, the last one holds
    assert "rmm" not in script(system, "gpus: 2\n")


def test_own_keys(script):
    """Accounts and resources have each system's name."""
    assert "#SBATCH -A me" in script("slurm", "account: me\n")
    assert "#PBS -A me" in script("pbs", "account: me\n")
    assert "#PBS -l select=9" in script("pbs", "resource_spec: select=9\ngpus: 2\n")
    assert '#BSUB -P "me"' in script("lsf", "project: me\n")
    assert "#$ -l h_vmem=4G" in script("sge", "project: me\nresource_spec: h_vmem=4G\n")


def test_certificates_reach_the_workers(tmp_path, script):
    """Workers get the paths of the certificates, and a tls:// address."""
    ca, cert, key = certificates(tmp_path)
    worker = script("slurm", f"security: {{ca_file: {ca}, cert: {cert}, key: {key}}}\n").splitlines()[-1]
    for part in ("tls://", f"--tls-ca-file {ca}", f"--tls-cert {cert}", f"--tls-key {key}"):
        assert part in worker


def test_every_job_is_given_certificates(script):
    """Those made at the start have no names yet; there are none if so wished. No key is in a script."""
    text = script("slurm")
    for part in ("tls://", "--protocol tls://", "--tls-cert CERTIFICATE", "--tls-key KEY"):
        assert part in text.splitlines()[-1]
    assert "PRIVATE KEY" not in text
    off = script("slurm", "security: off\n")
    assert "tcp://" in off
    assert "tls" not in off


def test_what_is_missing_for_a_job():
    """The message has the lines of the cluster file to be written, and the interfaces to choose from."""
    with pytest.raises(ClusterError, match=r"slurm needs cores, memory, interface") as refusal:
        cluster_settings("slurm").job_script()
    assert "    cluster: slurm\n    cores: 16\n    memory: 32GB\n" in str(refusal.value)
    assert "lo" in str(refusal.value).rpartition("interfaces of this machine: ")[2].split(", ")


def test_jobs_from_the_configuration_of_dask_jobqueue():
    """With that, no cluster file is needed."""
    import dask

    with dask.config.set(
        {"jobqueue.slurm.cores": 5, "jobqueue.slurm.memory": "9GB", "jobqueue.slurm.interface": "lo"}
    ):
        text = cluster_settings("slurm").job_script()
    assert "#SBATCH --cpus-per-task=5" in text
    assert "--nworkers 5 " in text


def test_a_machine_without_the_batch_system(tmp_path, monkeypatch):
    """The command that submits is looked for before a scheduler is started."""
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "cluster.yaml"
    file.write_text(f"cluster: pbs\n{JOB}")
    with pytest.raises(ClusterError, match="'qsub' is not on this machine"), connect(str(file)):
        pass


def test_ctrl_c_stays_ours(script, monkeypatch):
    """dask-jobqueue's import changes what Ctrl-C does; we change it back."""
    for name in [name for name in sys.modules if name.startswith("dask_jobqueue")]:
        monkeypatch.delitem(sys.modules, name)
    before = signal.getsignal(signal.SIGINT)
    script("slurm")
    assert "dask_jobqueue.runner" in sys.modules
    assert signal.getsignal(signal.SIGINT) is before
