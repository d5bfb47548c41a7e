"""Past reconstructions: which can be learned from, what of them, and which are the latest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.core.runs import RunRecord, RunSpec, Status, digest
from ptychosuite.errors import StudyError
from ptychosuite.execute.one_run import execute
from ptychosuite.fastforward import pairs as pairs_module
from ptychosuite.fastforward.pairs import pairs_of
from ptychosuite.fastforward.past_runs import KEPT, past_scans, walked

from tests.fastforward.test_train import HEAD
from tests.study.small import plan_of, study_file


def record(family: int, end: str, **changes) -> RunRecord:
    """A run as the store has it, without its images."""
    spec = RunSpec({"kind": "simulated", "object": {"pattern": family}}, {"name": "rpie"}, {})
    run_id = digest([family, end])
    return replace(
        RunRecord(run_id, spec, Status.COMPLETED, metrics={"iterations": 100.0}, provenance={"end": end}),
        **changes,
    )


def test_latest_scans_are_apart():
    """By the time of a scan's first run: one that was reconstructed again is no newer for that."""
    runs = [record(n, f"2026-0{n}-01T00:00") for n in (3, 1, 5, 2, 4)]
    again = record(1, "2026-09-01T00:00")
    earlier, latest = past_scans([again, *runs]).split(0.4)
    assert [scan.records[0].spec.problem["object"]["pattern"] for scan in earlier] == [1, 2, 3]
    assert [scan.records[0].spec.problem["object"]["pattern"] for scan in latest] == [4, 5]
    assert [each.provenance["end"][:7] for each in earlier[0].records] == ["2026-01", "2026-09"]


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(3, 0.01, 1), (3, 0.9, 1), (10, 0.2, 2), (10, 0.99, 8)]
)
def test_two_at_least_are_learned_from(count, share, expected):
    scans = past_scans(record(n, f"2026-01-{n:02}") for n in range(1, count + 1))
    earlier, latest = scans.split(share)
    assert (len(earlier), len(latest)) == (count - expected, expected)


def test_what_cannot_be_learned_from():
    measured = RunSpec({"kind": "file", "path": "a.cxi", "path_sha256": "1"}, {"name": "rpie"}, {})
    found = past_scans([
        record(1, "1", status=Status.DIVERGED),
        record(2, "1", spec=replace(record(2, "1").spec, solver={"name": "rpie", "probe_modes": 2})),
        record(3, "1", spec=measured, metrics={"iterations": 20.0}),
        record(4, "1", spec=measured),
    ])  # fmt: skip
    assert len(found.scans) == 1
    assert sum(found.left_out.values()) == 3
    with pytest.raises(StudyError, match=r"found 1 scans.*expected 3.*1 left out: several modes"):
        found.split(0.2)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A simulated run with a probe to be found that has kept nothing on the way, and one that has."""
    text = "stop: {iterations: 60, check_every: 60}\n"
    start = "  start_probe: {kind: gaussian, size: 16, fwhm_px: 7}\n"
    folder = tmp_path_factory.mktemp("study")
    (spec,) = plan_of(study_file(folder, text, head=HEAD + start)).runs
    return execute(spec)[0], execute(replace(spec, snapshots=KEPT))[0]


def test_states_on_the_way_are_computed_again(run):
    """To the last bit those that the run would have kept; who has kept them is left as he is."""
    without, kept = run
    again = walked(without)
    assert again is not None
    assert list(again.snapshots) == list(KEPT)
    for iteration in KEPT:
        for found, expected in zip(again.snapshots[iteration], kept.snapshots[iteration], strict=True):
            np.testing.assert_array_equal(found, expected)
    assert walked(kept) is kept
    assert walked(without, is_late=lambda: True) is None


def test_end_of_a_run_stands_for_the_truth_that_nobody_knows(run, monkeypatch):
    """From state to end, in the gauge of the state: with the change added, a state is at the end."""
    _, kept = run
    build = pairs_module.build_problem
    monkeypatch.setattr(pairs_module, "build_problem", lambda *each: replace(build(*each), reference=None))
    found = pairs_of([kept], least_objects=1)
    assert len(found) == 2  # 13 and 25; 60 iterations are twice as many
    left = []
    for channels, change in zip(found.object.channels, found.object.change, strict=True):
        light = channels[6].astype(float) ** 2
        state, step = (part[0].astype(float) + 1j * part[1] for part in (channels, change))
        end = np.asarray(kept.object)
        left.append((distance(state + step, end, light), distance(state, end, light)))
    for after, before in left:
        assert after < 0.15 * before
    short = replace(kept, metrics={**kept.metrics, "iterations": 30.0})
    assert len(pairs_of([short], least_objects=1)) == 1


def distance(a, b, weight):
    """Squared, relative, of two objects up to a complex factor."""
    weight = weight * (weight > 0.1)
    factor = np.sum(weight * np.conj(a) * b) / np.sum(weight * np.abs(a) ** 2)
    return np.sum(weight * np.abs(factor * a - b) ** 2) / np.sum(weight * np.abs(b) ** 2)


def test_objects_of_several_sizes_are_cut_to_what_all_have(run, tmp_path):
    _, kept = run
    text = "stop: {iterations: 60, check_every: 60}\nsnapshots: [3, 13]\n"
    (spec,) = plan_of(study_file(tmp_path, text, head=HEAD.replace("size: 32", "size: 40"))).runs
    larger, _ = execute(spec)
    with pytest.raises(StudyError, match="several sizes"):
        pairs_of([kept, larger])
    found = pairs_of([kept, larger], cut=True)
    assert found.object.channels.shape[-2:] == (32, 32)
    whole = pairs_of([larger], least_objects=1)
    np.testing.assert_array_equal(found.object.change[-1], whole.object.change[-1][:, 4:-4, 4:-4])


@pytest.mark.parametrize(
    "more", [{"probe_modes": 3}, {"probe_variations": 1}, {"intensity": True}, {"positions": "gradient"}]
)
def test_what_a_stage_finds_counts(more):
    """One stage that finds more than an object and a probe is enough."""
    solver = {"name": "staged", "stages": [{"name": "epie"}, {"name": "lsqml", **more}]}
    found = past_scans([record(1, "1", spec=replace(record(1, "1").spec, solver=solver))])
    assert found.scans == ()
    assert sum(found.left_out.values()) == 1
    run = record(1, "1", spec=replace(record(1, "1").spec, solver=solver), snapshots={10: (None, None)})
    with pytest.raises(StudyError, match="make no training pairs"):
        pairs_of([run])
