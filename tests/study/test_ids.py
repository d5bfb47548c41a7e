"""A study of today plans to the runs it always had: their identities are known by heart."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study

from tests.study.small import REPOSITORY

# study -> of its runs without fast-forward: the first's spec_id, their number, a hash of all
GOLDEN = {
    "blind.yaml": ("440fa0c1f44840c9", 80, "69c254b3d8d54dac"),
    "nightly.yaml": ("9a856614a0650ff8", 65, "ede1842ac8f2a12e"),
    "paper/circuit.yaml": ("3e0973a8269762b3", 36, "56c60f696a243159"),
    "paper/fast-forward-known.yaml": ("d7385c47102749fa", 27, "46e11afa3dc95c47"),
    "paper/fast-forward-sizes.yaml": ("751e7472f68db7cf", 12, "ff85681cfe925fab"),
    "paper/levels.yaml": ("0172a6d1212cfcd6", 27, "0ab22ed4e9540a47"),
    "paper/noise.yaml": ("0172a6d1212cfcd6", 36, "150ea56f58848076"),
    "paper/overlap.yaml": ("c17020f0b859ad77", 18, "e737aa1f86737b91"),
    "paper/setup.yaml": ("fa1fec85bfb658b7", 2, "f507852bba39fc8a"),
    "quickstart.yaml": ("2d8582ca395ed0f6", 24, "80bbc018c03ff662"),
}
MEASURED = ("2a8c818e93c17a12", 4, "b6b7f5368b237d20")


def identities(study: str, **problem: str) -> tuple[str, int, str]:
    plan = make_plan(load_study(REPOSITORY / "studies" / study))
    runs = [spec for spec in plan.runs if spec.fast_forward is None]
    ids = [dataclasses.replace(spec, problem={**spec.problem, **problem}).spec_id for spec in runs]
    return ids[0], len(ids), hashlib.sha256(" ".join(ids).encode()).hexdigest()[:16]


@pytest.mark.parametrize("study", GOLDEN)
def test_spec_ids(study):
    """What is stored under an id stays found."""
    assert identities(study) == GOLDEN[study]


def test_spec_ids_of_measured_data(measured_data, monkeypatch):
    """The same where a run's identity has the hash of a file in it; the study has not always said a unit."""
    monkeypatch.setenv("PTYCHOSUITE_DATA", str(measured_data))
    assert identities("measured/siemens-star.yaml", positions_unit="auto") == MEASURED
