"""The network is fine-tuned to past runs, judged on the latest, and handed out where it is better."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import ptychosuite
import pytest
from ptychosuite.errors import UserError
from ptychosuite.fastforward import fine_tune as fine_tuning
from ptychosuite.fastforward.fine_tune import Scores
from ptychosuite.fastforward.network import Checkpoint, Network, weights_sha256

from tests.study.small import carry_out, plan_of, study_file

STUDY = """\
study: {name}
problem:
  object: {{kind: dead-leaves, size: {size}, leaves: 60, radius_px_min: 4}}
  probe: {{kind: gaussian, size: 16, fwhm_px: 6, curvature: 1}}
  start_probe: {{kind: gaussian, size: 16, fwhm_px: 8}}
  scan: {{kind: raster, overlap: 0.75}}
stop: {{iterations: 60, check_every: 60}}
axes:
  problem.object.pattern: {{range: {count}}}
  solver: [{{name: epie}}]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two results folders, the second one of larger objects, that came later; no run has kept snapshots."""
    place = tmp_path_factory.mktemp("past")
    for name, size, count in (("first", 32, 3), ("second", 40, 2)):
        plan = plan_of(
            study_file(place, STUDY.format(name=name, size=size, count=count), head="", name=f"{name}.yaml")
        )
        carry_out(plan, place / "results")
    return place / "results"


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A network that changes nothing."""
    from ptychosuite.fastforward.features import CHANNELS
    from ptychosuite.fastforward.unet import Pair

    weights = {name: value.numpy() for name, value in Pair(CHANNELS, 4).state_dict().items()}
    card = {"architecture": {"channels": CHANNELS, "width": 4}, "weights_sha256": weights_sha256(weights)}
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    Checkpoint(weights, card).write(path)
    return path


@pytest.fixture(autouse=True)
def short(monkeypatch):
    for name, value in (("LEARNING_RATE", 1e-2), ("MOST_EPOCHS", 1), ("JUDGED_AFTER", 26), ("PILOT", 4)):
        monkeypatch.setattr(fine_tuning, name, value)


def test_what_is_better_is_handed_out_with_its_figures(folder, untrained, tmp_path, monkeypatch):
    scores = iter([Scores(0.1, 0.0, 1.0), Scores(0.2, 0.3, 0.9)])
    monkeypatch.setattr(fine_tuning, "_compared", lambda *each: [1.0, 0.9])
    monkeypatch.setattr(fine_tuning, "_scores", lambda *each: next(scores))
    out = tmp_path / "mine.safetensors"
    found = ptychosuite.fine_tune(folder, out, start=str(untrained), progress=False)
    assert found.scans == {"earlier": 4, "latest": 1}
    assert found.is_better
    assert found.file == out
    Network.load(out)
    card = Checkpoint.read(out).card
    assert card["latest scans"]["after"] == {
        "object_removed": 0.2,
        "probe_removed": 0.3,
        "deviance_ratio": 0.9,
    }
    assert "where the run ended" in card["truth"]
    metrics = json.loads((tmp_path / "mine.training" / "metrics.json").read_text())
    assert metrics["latest scans"]["better"] is True
    assert metrics["history"]
    assert f"checkpoint: {out}" in str(found)


def test_what_changes_nothing_has_the_deviance_of_the_solver_alone(folder, untrained, tmp_path):
    """Run by run; after the fine-tuning another one comes out. Where it is no better the file stays."""
    out = tmp_path / "mine.safetensors"
    out.write_bytes(b"as it was")
    found = ptychosuite.fine_tune(folder, out, latest=0.4, start=str(untrained), progress=False)
    assert found.scans == {"earlier": 3, "latest": 2}
    assert found.before == Scores(
        pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6), pytest.approx(1, rel=1e-6)
    )
    assert found.after.deviance_ratio != 1
    assert found.is_better == found.after.is_better_than(found.before)
    assert (out.read_bytes() == b"as it was") != found.is_better


def test_what_is_worse_replaces_nothing(folder, untrained, tmp_path, monkeypatch, command):
    """It is kept in the folder of the training, and the command's exit code says so."""
    monkeypatch.setattr(fine_tuning, "_compared", lambda *each: [0.9, 1.0])
    out = tmp_path / "mine.safetensors"
    out.write_bytes(b"as it was")
    code, told, _ = command("fine-tune", folder, "--out", out, "--start", untrained, "--minutes", "5")
    assert code == 1
    assert out.read_bytes() == b"as it was"
    assert "nothing was replaced" in told
    assert (
        Checkpoint.read(tmp_path / "mine.training" / "checkpoint.safetensors").card["latest scans"]["better"]
        is False
    )


def test_latest_are_not_trained_on(folder, untrained, tmp_path, monkeypatch):
    """What is trained on, and what judges, have no object in common."""
    seen = {}
    train = fine_tuning.train

    def noted(pairs, *rest, **more):
        seen["trained"] = {*seen.get("trained", ()), *pairs.family.tolist()}
        return train(pairs, *rest, **more)

    def noting(network, pairs, *rest):
        seen["judged"] = set(pairs.family.tolist())
        return Scores(0, 0, 1)

    monkeypatch.setattr(fine_tuning, "train", noted)
    monkeypatch.setattr(fine_tuning, "_scores", noting)
    monkeypatch.setattr(fine_tuning, "_compared", lambda *each: [1.0, 1.0])
    ptychosuite.fine_tune(folder, tmp_path / "mine.safetensors", start=str(untrained), progress=False)
    assert len(seen["trained"]) == 4
    assert len(seen["judged"]) == 1
    assert not seen["trained"] & seen["judged"]


@pytest.mark.parametrize(
    ("before", "after", "better"),
    [((0.2, 0.9), (0.3, 0.9), True), ((0.2, 0.9), (0.3, 0.91), False), ((0.2, 0.9), (0.2, 0.5), False)],
)
def test_better_is_better_in_both(before, after, better):
    old, new = (Scores(removed, 0, ratio) for removed, ratio in (before, after))
    assert new.is_better_than(old) is better


def test_few_pairs_are_of_all_objects(folder):
    """As many objects as there are pairs allowed, and never fewer than two."""
    from ptychosuite.fastforward.pairs import pairs_of
    from ptychosuite.fastforward.past_runs import walked
    from ptychosuite.store.layout import Store
    from ptychosuite.store.read import inventory, read_run

    runs = [walked(read_run(file)) for file in inventory(Store.open(folder / "first")).done.values()]
    pairs = pairs_of(runs)
    for most, objects in ((0, 2), (2, 2), (3, 3), (99, 3)):
        few = fine_tuning._some(pairs, most)
        assert len(np.unique(few.family)) == objects
        assert len(few) == min(max(most, 2), len(pairs))


def test_folders_that_cannot_be_learned_from(tmp_path, folder):
    out = tmp_path / "x.safetensors"
    for place, settings, message in (
        (tmp_path, {}, "no results in"),
        (folder / "second", {}, "found 2 scans"),
        (folder, {"minutes": 0}, "minutes above 0"),
        (folder, {"start": "nowhere.safetensors"}, "cannot be read"),
    ):
        with pytest.raises(UserError, match=message):
            ptychosuite.fine_tune(place, out, progress=False, **settings)
    with pytest.raises(UserError, match=r"ends in \.safetensors"):
        ptychosuite.fine_tune(folder, tmp_path / "x.pt", progress=False)
    assert not list(tmp_path.iterdir())
    assert isinstance(out, Path)
