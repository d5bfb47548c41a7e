"""What may stand after --cluster and in a cluster file, and what is refused."""

from __future__ import annotations

import re

import pytest
from ptychosuite.cluster.cluster_file import KINDS, cluster_settings
from ptychosuite.errors import ClusterError

from tests.conftest import REPOSITORY

PLAIN = ("none", "local", "cuda", "slurm", "pbs", "lsf", "sge")


def written(folder, text):
    file = folder / "cluster.yaml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("name", PLAIN)
def test_every_kind_needs_no_file(name):
    """Each kind is one word."""
    assert cluster_settings(name).cluster == name
    assert set(PLAIN) == set(KINDS)


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("tcp://127.0.0.1:8786", "Running"),
        ("tls://127.0.0.1:8786", "Running"),
        ("scheduler.json", "Running"),
        ("distributed:LocalCluster", "Importable"),
        ("dask_kubernetes.operator:KubeCluster", "Importable"),
    ],
)
def test_what_else_may_stand_there(word, kind):
    """Addresses, scheduler files and classes are told from kinds by their form; nothing is imported yet."""
    assert type(cluster_settings(word)).__name__ == kind


@pytest.mark.parametrize("word", ["locl", "http://x", "slurm.yam", "", "a b:C", "x.y"])
def test_unknown_words(word):
    """What is no cluster is refused with everything that would be one."""
    with pytest.raises(
        ClusterError, match=r"unknown cluster .*FILE\.yaml.*FILE\.json.*:Class.*tcp://HOST:PORT"
    ):
        cluster_settings(word)


# text of the file, line:column, what the message says
REFUSED = {
    "empty": ("", "1:1", ["keys and values"]),
    "a list": ("- local\n", "1:1", ["keys and values"]),
    "no kind": ("workers: 3\n", "1:1", ["'cluster: KIND' is missing", "slurm"]),
    "unknown kind": ("cluster: slrm\n", "1:1", ["slrm", "'slurm'"]),
    "kind is a number": ("cluster: 3\n", "1:1", ["3"]),
    "a file in a file": ("cluster: other.yaml\n", "1:1", ["other.yaml", "unknown cluster"]),
    "unknown key": ("cluster: slurm\ncores: 4\nmemry: 1GB\n", "3:1", ["memry", "'memory'"]),
    "key of another kind": ("cluster: local\nqueue: gpu\n", "2:1", ["queue", "workers"]),
    "key of another system": ("cluster: slurm\nproject: x\n", "2:1", ["project"]),
    "workers is text": ("cluster: local\nworkers: many\n", "2:1", ["many", "integer"]),
    "no workers": ("cluster: local\nworkers: 0\n", "2:1", ["workers", "0"]),
    "cores is a fraction": ("cluster: slurm\ncores: 1.5\n", "2:1", ["1.5"]),
    "memory is no size": ("cluster: slurm\ncores: 1\nmemory: lots\n", "3:1", ["lots", "32GB"]),
    "memory is a number": ("cluster: slurm\nmemory: 4\n", "2:1", ["4", "string"]),
    "pool above 1": ("cluster: cuda\nrmm_pool: 2\n", "2:1", ["rmm_pool", "2"]),
    "a GPU below 0": ("cluster: cuda\ngpus: [0, -1]\n", "2:11", ["-1"]),
    "no GPU's name": ("cluster: cuda\ngpus: [0, Tesla]\n", "2:11", ["Tesla", "index", "GPU-...", "MIG-..."]),
    "two sizes": ("cluster: slurm\njobs: 3\nadapt: {maximum: 9}\n", "3:1", ["'jobs'", "one of them"]),
    "two places": ("cluster: local\nhost: 127.0.0.1\ninterface: lo\n", "3:1", ["'host'"]),
    "unknown key of adapt": ("cluster: slurm\nadapt: {maximum: 3, min: 1}\n", "2:21", ["min", "minimum"]),
    "adapt without maximum": ("cluster: slurm\nadapt: {minimum: 3}\n", "2:1", ["'maximum' is missing"]),
    "adapt upside down": ("cluster: slurm\nadapt: {minimum: 3, maximum: 2}\n", "2:1", ["3 above maximum 2"]),
    "security incomplete": ("cluster: local\nsecurity: {cert: a.pem}\n", "2:1", ["'ca_file' is missing"]),
    "unknown certificate": ("cluster: local\nsecurity: {ca: a.pem}\n", "2:12", ["'ca'", "ca_file"]),
    "no such certificate": (
        "cluster: local\nsecurity:\n  {ca_file: a.pem, cert: b.pem, key: c.pem}\n", "3:4", ["a.pem", "PEM"],
    ),
    "security is a word": ("cluster: local\nsecurity: on\n", "2:1", ["true", "ca_file", "or off"]),
    "security is quoted": ("cluster: slurm\nsecurity: 'off'\n", "2:1", ['"off"', "or off"]),
    "off for others' schedulers": ("cluster: tcp://x:1\nsecurity: off\n", "2:1", ["off"]),
    "dashboard is a word": ("cluster: local\ndashboard: here\n", "2:1", ["here"]),
    "no YAML": ("cluster: [\n", "2:1", ["not valid YAML"]),
    "options of a kind": ("cluster: local\noptions: {n: 1}\n", "2:1", ["options"]),
    "options are a list": ("cluster: a:B\noptions: [1]\n", "2:1", ["options"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "place", "said"), REFUSED.values(), ids=REFUSED)
def test_refused_files(tmp_path, text, place, said):
    """Every mistake has file, line and column, and says what would be right."""
    file = written(tmp_path, text)
    with pytest.raises(ClusterError) as refusal:
        cluster_settings(file)
    message = str(refusal.value)
    assert message.startswith(f"{file}:{place}"), message
    for part in said:
        assert part in message


def test_tags_build_nothing(tmp_path):
    """A cluster file is data: a tag that would build an object in Python builds none."""
    proof = tmp_path / "proof"
    file = written(tmp_path, f"cluster: !!python/object/apply:os.system ['touch {proof}']\n")
    with pytest.raises(ClusterError):
        cluster_settings(file)
    assert not proof.exists()


def test_missing_file(tmp_path):
    """A file that is not there is named, with the one that may be meant."""
    written(tmp_path, "cluster: local\n")
    with pytest.raises(
        ClusterError, match=r"cannot read the cluster file .*clusters.yaml.*did you mean .*cluster.yaml"
    ):
        cluster_settings(str(tmp_path / "clusters.yaml"))


def test_workers_on_the_command_line(tmp_path):
    """--workers sets or overrules the file's number, and is refused where it means nothing."""
    assert cluster_settings("local", 3).workers == 3
    assert cluster_settings(written(tmp_path, "cluster: local\nworkers: 2\n"), 3).workers == 3
    assert cluster_settings("none", 3) == cluster_settings("none")
    with pytest.raises(ClusterError, match=r"--workers 3: tcp://x:1 has the workers it has"):
        cluster_settings("tcp://x:1", 3)
    with pytest.raises(ClusterError, match=r"--workers 3: .*beside 'jobs'"):
        cluster_settings(written(tmp_path, "cluster: slurm\njobs: 2\n"), 3)


def test_paths_count_from_the_file(tmp_path):
    """Certificates and scheduler files are looked for beside the cluster file."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).touch()
    security = "security: {ca_file: ca.pem, cert: cert.pem, key: key.pem}\n"
    kind = cluster_settings(written(tmp_path, "cluster: scheduler.json\n" + security))
    assert kind.cluster == str(tmp_path / "scheduler.json")
    assert kind.security.key == str(tmp_path / "key.pem")


def test_examples_in_the_docs(tmp_path):
    """Every cluster file shown in docs/clusters.md is one."""
    for name in ("ca.pem", "me.pem", "me-key.pem"):
        (tmp_path / name).touch()
    text = (REPOSITORY / "docs" / "clusters.md").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    kinds = {cluster_settings(written(tmp_path, example)).cluster for example in examples}
    assert {"local", "cuda", "slurm", "pbs", "lsf", "sge"} <= kinds
    for word in re.findall(r"^    ptychosuite run \S+ --cluster (\S+)", text, re.MULTILINE):
        if not word.endswith(".yaml"):
            cluster_settings(word)
