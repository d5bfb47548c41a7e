"""Who gets into a cluster, and what others on the machine can see of it."""

from __future__ import annotations

import asyncio
import os
import ssl
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import psutil
import pytest
from ptychosuite.cluster.cluster_file import cluster_settings, connect
from ptychosuite.cluster.connection import Connection
from ptychosuite.cluster.kinds.external import dashboard_that_answers
from ptychosuite.cluster.security import new_key_pair, security_elsewhere, security_here
from ptychosuite.cluster.whole_sweep import sweep, to_do
from ptychosuite.errors import ClusterError
from ptychosuite.store.layout import Store

from tests.study.small import plan_text

SERVERS = ("scheduler", "worker", "nanny")
PAGES = (
    "", "status", "individual-plots.json", "info/main/workers.html", "info/logs.html", "json/identity.json",
    "metrics", "health", "statics/css/base.css",
)  # fmt: skip


class Cluster(NamedTuple):
    """A local cluster of one worker, as it is without any settings."""

    connection: Connection
    addresses: dict[str, str]  # of scheduler, worker and nanny
    key: str  # in PEM's base64, without its lines
    new_files: set[Path]  # in the folder of temporary files, since before the start


def temporary_files() -> set[Path]:
    return set(Path(tempfile.gettempdir()).iterdir())


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    before = temporary_files()
    with connect("local", 1) as connection:
        connection.client.wait_for_workers(1)
        ((address, worker),) = connection.client.scheduler_info()["workers"].items()
        addresses = {
            "scheduler": connection.client.scheduler.address, "worker": address, "nanny": worker["nanny"],
        }  # fmt: skip
        key = "".join(connection.client.security.tls_client_key.splitlines()[1:-1])
        yield Cluster(connection, addresses, key, temporary_files() - before)


def shown(context: ssl.SSLContext) -> dict[str, Any]:
    """Dask's arguments of a connection that goes by ``context``."""
    return {"ssl_context": context, "require_encryption": True}


def callers(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """One that belongs to the cluster, and those that do not and do not care whom they meet."""
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname, bare.verify_mode = False, ssl.CERT_NONE
    stranger = security_here(None).get_connection_args("client")
    stranger["ssl_context"].verify_mode = ssl.CERT_NONE
    ours = cluster.connection.client.security.get_connection_args("client")
    return {"ours": ours, "no certificate": shown(bare), "another's certificate": stranger, "plain": {}}


async def answers(address: str, arguments: dict[str, Any]) -> bool:
    """Whether a server answers the most harmless question of Dask's protocol."""
    from distributed.core import connect as reach
    from distributed.core import send_recv

    plain = address if arguments else address.replace("tls://", "tcp://")
    try:
        async with asyncio.timeout(3):
            comm = await reach(plain, timeout=0.5, **arguments)
            try:
                await send_recv(comm, op="identity")
            finally:
                comm.abort()
    except (OSError, TimeoutError):
        return False
    return True


def test_who_gets_in(cluster):
    """Scheduler, worker and nanny answer who has the cluster's key, and nobody else."""

    async def ask() -> dict[tuple[str, str], bool]:
        questions = [
            (server, name, answers(cluster.addresses[server], arguments))
            for server in SERVERS
            for name, arguments in callers(cluster).items()
        ]
        found = await asyncio.gather(*(question for *_, question in questions))
        return {(server, name): answer for (server, name, _), answer in zip(questions, found, strict=True)}

    assert all(address.startswith("tls://127.0.0.1:") for address in cluster.addresses.values())
    got_in = asyncio.run(ask())
    assert got_in == {key: key[1] == "ours" for key in got_in}
    assert len(got_in) == 12


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Let both sides of a TLS connection talk through memory until both are content."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    while sides:
        for side in list(sides):
            try:
                side.do_handshake()
                sides.remove(side)
            except ssl.SSLWantReadError:
                pass


def test_nobody_can_stand_in_for_a_server():
    """Client and workers talk to no scheduler that lacks the key: both sides look at certificates."""
    ours, strangers = security_here(None), security_here(None)

    def context(security: Any, side: str) -> ssl.SSLContext:
        ask = security.get_connection_args if side == "client" else security.get_listen_args
        return ask("scheduler")["ssl_context"]

    handshake(context(ours, "client"), context(ours, "server"))
    for client, server in ((ours, strangers), (strangers, ours)):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(context(client, "client"), context(server, "server"))


def test_the_key_is_nowhere_to_be_read(cluster, tmp_path):
    """In no file, no environment and no command line, also after a sweep; the worker has it all the same."""
    plan = plan_text(tmp_path, "axes: {seed: {range: 2}}\n")
    store = Store.create(tmp_path / plan.name)
    tally = sweep(plan, store, to_do(plan, store, False), cluster.connection, ["test"], lambda *_: None)
    assert tally.counts == {"completed": 2}
    assert len(cluster.key) > 100
    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        with suppress(psutil.Error):  # it has ended
            seen = [*process.cmdline(), *process.environ().values()]
            assert not any(cluster.key[:40] in text for text in seen)
    for folder in (tmp_path, *cluster.new_files):
        with suppress(OSError):  # another process's, which has removed it meanwhile
            for file in folder.rglob("*") if folder.is_dir() else [folder]:
                if file.is_file():
                    assert cluster.key[:40].encode() not in file.read_bytes(), file
    on_worker = cluster.connection.client.run(lambda dask_worker: dask_worker.security.tls_worker_key)
    assert ["".join(key.splitlines()[1:-1]) for key in on_worker.values()] == [cluster.key]


def test_openssl_reads_the_key_behind_a_closed_door(monkeypatch):
    """It takes keys from files alone: for that moment they are in a folder that is the user's only."""
    seen = []
    load = ssl.SSLContext.load_cert_chain

    def watched(context: ssl.SSLContext, cert: str, key: str) -> None:
        seen.append((Path(key), stat.S_IMODE(Path(key).parent.stat().st_mode)))
        load(context, cert, key)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watched)
    before = os.umask(0)
    try:
        security_here(None).get_listen_args("scheduler")
    finally:
        os.umask(before)
    ((file, mode),) = seen
    assert mode == 0o700
    assert not file.parent.exists()


def pages_at(port: int) -> list[str]:
    """The pages that an HTTP server on this machine shows."""
    found = []
    for page in PAGES:
        try:
            urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5).close()
            found.append(page)
        except HTTPError:
            pass
    return found


def test_no_pages(cluster):
    """Without a dashboard there is no link to one, and nothing to read at scheduler and worker."""
    assert cluster.connection.dashboard == ""
    assert dashboard_that_answers(cluster.connection.client) == ""
    information = cluster.connection.client.scheduler_info()
    (worker,) = information["workers"].values()
    for server in (information, worker):
        assert pages_at(server["services"]["dashboard"]) == []


def test_off_and_a_dashboard(tmp_path):
    """Both are the user's choice; the link leads to a dashboard on loopback."""
    file = tmp_path / "cluster.yaml"
    file.write_text("cluster: local\nworkers: 1\nsecurity: off\ndashboard: true\n")
    with connect(str(file)) as connection:
        assert connection.client.scheduler.address.startswith("tcp://127.0.0.1:")
        link = urlsplit(connection.dashboard)
        assert (link.hostname, link.path) == ("127.0.0.1", "/status")
        assert {"status", "info/main/workers.html"} <= set(pages_at(link.port))
        assert dashboard_that_answers(connection.client) == connection.dashboard


def test_a_dashboard_without_bokeh(monkeypatch, tmp_path):
    """What is missing is said; no link to a page that only says so."""
    monkeypatch.setattr("ptychosuite.cluster.workers.find_spec", lambda name: None)
    file = tmp_path / "cluster.yaml"
    file.write_text("cluster: local\nworkers: 1\ndashboard: true\n")
    with pytest.raises(ClusterError, match=r"pip install 'ptychosuite\[dashboard\]'"), connect(str(file)):
        pass


def test_without_cryptography(monkeypatch):
    """One sentence: what to install, or what to write."""
    monkeypatch.setitem(sys.modules, "cryptography", None)
    message = r"pip install cryptography, or write 'security: off'"
    with pytest.raises(ClusterError, match=message) as refusal, connect("local", 1):
        pass
    assert "\n" not in str(refusal.value)


def test_gpu_workers_and_the_cpu_workers_beside_them():
    """They are given the same certificate, and the protocol that needs one."""
    options = cluster_settings("cuda")._shared_options()
    assert options["protocol"] == "tls://"
    assert options["security"].tls_worker_key == options["security"].tls_scheduler_key
    assert "PRIVATE KEY" in options["security"].tls_worker_key


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_keys_for_several_machines(tmp_path):
    """Their files are the user's alone, whatever the umask; nothing is left, nor of a killed sweep."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = os.uname().nodename
    left, other = tmp_path / f"tls-{host}-{ended.pid}-x", tmp_path / f"tls-{host}-{os.getppid()}-x"
    left.mkdir()
    other.mkdir()
    before = os.umask(0)
    try:
        with security_elsewhere(None, tmp_path) as security:
            key = Path(security.tls_worker_key)
            assert (mode(key), mode(key.parent)) == (0o600, 0o700)
            assert security.tls_scheduler_key == security.tls_client_key == str(key)
            assert security.get_listen_args("worker")["require_encryption"]
            assert sorted(tmp_path.iterdir()) == sorted([key.parent, other])
    finally:
        os.umask(before)
    assert list(tmp_path.iterdir()) == [other]


def test_no_place_for_keys(tmp_path):
    """A folder that cannot be made is named, with the setting that names another."""
    (tmp_path / "file").touch()
    with (
        pytest.raises(ClusterError, match=r"below .*file/keys: .*shared-temp-directory"),
        security_elsewhere(None, tmp_path / "file/keys"),
    ):
        pass


def test_every_cluster_has_a_key_of_its_own():
    """A key that has become known opens nothing else."""
    first, second = new_key_pair(), new_key_pair()
    assert first.key != second.key
    assert first.certificate != second.certificate
