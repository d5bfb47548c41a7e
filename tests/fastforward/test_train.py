"""Training on the runs of a tiny study: resumed, repeated, refused; and by the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from ptychosuite.core.runs import RunRecord
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.fastforward.network import Checkpoint, Network
from ptychosuite.fastforward.pairs import Pairs, pairs_of
from ptychosuite.fastforward.train import train
from ptychosuite.fastforward.training_file import Training
from ptychosuite.solvers.pie import RPIE
from ptychosuite.store.read import inventory, read_run

from tests.study.small import carry_out, plan_of, plan_text, study_file

SNAPSHOTS = "snapshots: [10, 20, 30]\n"
OBJECTS = "  problem.object.pattern: {range: 4}\n"
STUDY = f"""\
stop: {{iterations: 30, check_every: 30}}
{SNAPSHOTS}axes:
{OBJECTS}  problem.start_probe: [null, {{kind: gaussian, size: 16, fwhm_px: 7}}]
train: {{width: 2, epochs: 3, batch: 4, mixed_precision: off, learning_rate: 1e-2}}
"""
HEAD = """\
study: tiny
problem:
  object: {kind: texture, size: 32}
  probe: {kind: gaussian, size: 16, fwhm_px: 6}
  scan: {kind: raster, overlap: 0.75}
"""
SETTINGS = Training(width=2, epochs=3, batch=4, mixed_precision=False, learning_rate=1e-2)


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> list[RunRecord]:
    folder = tmp_path_factory.mktemp("runs")
    plan = plan_of(study_file(folder, STUDY, head=HEAD))
    store, _ = carry_out(plan, folder / "results")
    done = inventory(store).done
    return [read_run(done[run_id]) for run_id in plan.run_ids]  # as the command does; ids change


@pytest.fixture(scope="module")
def pairs(records) -> Pairs:
    return pairs_of(records)


def history(folder: Path) -> list[dict[str, float]]:
    return json.loads((folder / "metrics.json").read_text())["history"]


def test_pairs_lead_to_the_truth(pairs):
    """Three pairs a run that gets anywhere, the first from the start; a known probe has nowhere to go; no
    object is in both halves."""
    assert len(pairs) % 3 == 0
    assert 12 < len(pairs) <= 3 * 8
    assert sorted(set(pairs.moves.tolist())) == [False, True]
    assert np.abs(pairs.probe.change[~pairs.moves]).max() < 1e-5
    assert pairs.object.change.any()
    fit, validation = pairs.split(0.25, seed=0)
    assert len(fit) + len(validation) == len(pairs)
    assert not set(fit.family) & set(validation.family)


def test_training_learns_and_its_checkpoint_serves(pairs, tmp_path):
    """The loss falls, the best weights are written with their card, and a network is made of them."""
    path = train(pairs, SETTINGS, {"study": "tiny"}, tmp_path)
    losses = [figures["train_loss"] for figures in history(tmp_path)]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    card = Checkpoint.read(path).card
    assert card["study"] == "tiny"
    assert card["result"]["validation_loss"] == min(f["validation_loss"] for f in history(tmp_path))
    Network.load(path)


def test_training_starts_from_a_checkpoint(pairs, tmp_path):
    """The first loss is where the earlier training ended; the card tells; another width is refused."""
    first = train(pairs, SETTINGS, {}, tmp_path / "first")
    settings = replace(SETTINGS, start="first.safetensors", learning_rate=1e-9)
    again = train(pairs, settings, {}, tmp_path / "again", start=first)
    assert history(tmp_path / "again")[0]["validation_loss"] == pytest.approx(
        min(figures["validation_loss"] for figures in history(tmp_path / "first")), rel=1e-4
    )
    assert Checkpoint.read(again).card["start_sha256"] == sha256(first.read_bytes()).hexdigest()
    with pytest.raises(DataFileError, match="width"):
        train(pairs, replace(SETTINGS, width=3), {}, tmp_path / "other", start=first)


def test_what_a_network_sees_may_grow(records, pairs, tmp_path):
    """A network that sees the whole field starts from one that does not, where that ended."""
    first = train(pairs, SETTINGS, {}, tmp_path / "first")
    wider = replace(SETTINGS, whole_field=True, smooth_weight=1.0, start="x", learning_rate=1e-9)
    grown = train(pairs, wider, {}, tmp_path / "grown", start=first)
    assert Checkpoint.read(grown).card["architecture"]["whole_field"]
    before, after = (Network.load(path).modules for path in (first, grown))
    seen = torch.from_numpy(pairs.object.channels[:2].astype(np.float32))
    torch.testing.assert_close(after.object(seen), before.object(seen), atol=1e-5, rtol=1e-5)
    with pytest.raises(DataFileError, match="width"):
        train(pairs, replace(SETTINGS, start="x"), {}, tmp_path / "back", start=grown)
    without_drift = pairs_of(records, without_drift=True)
    travel = [each.object.channels[:, 2:4].astype(float) for each in (pairs, without_drift)]
    assert np.linalg.norm(travel[1]) < np.linalg.norm(travel[0])
    path = train(without_drift, replace(SETTINGS, without_drift=True), {}, tmp_path / "drift")
    assert Network.load(path).without_drift


def test_training_through_resumed_sweeps(records, tmp_path):
    """Pairs with a known probe and with an unknown one are kept apart; the loss falls."""
    pairs = pairs_of(records, keep_states=True)
    assert len(pairs.states) == len(pairs)
    for kind in np.unique(pairs.alike):
        assert len(set(pairs.moves[pairs.alike == kind].tolist())) == 1
    part = pairs.part(np.array([2, 0]))
    assert part.states == (pairs.states[2], pairs.states[0])
    epie = RPIE(alpha=1.0, beta=1.0)  # the runs' own is small in alpha, and swings from sweep to sweep
    pairs = replace(pairs, states=tuple(replace(state, solver=epie) for state in pairs.states))
    train(pairs, replace(SETTINGS, resumed_sweeps=2), {}, tmp_path)
    losses = [figures["train_loss"] for figures in history(tmp_path)]
    assert losses[-1] < losses[0]
    assert np.isfinite(losses).all()


class Killed(Exception):
    pass


def test_training_resumes_and_repeats(pairs, tmp_path):
    """Stopped after the second epoch and begun again, it ends with the very weights of an unbroken one."""

    def kill(figures: dict[str, float]) -> None:
        if figures["epoch"] == 2:
            raise Killed

    whole = Checkpoint.read(train(pairs, SETTINGS, {}, tmp_path / "whole"))
    with pytest.raises(Killed):
        train(pairs, SETTINGS, {}, tmp_path / "broken", kill)
    epochs: list[float] = []
    resumed = Checkpoint.read(
        train(pairs, SETTINGS, {}, tmp_path / "broken", lambda figures: epochs.append(figures["epoch"]))
    )
    assert epochs == [3]
    for name, value in whole.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], value)


def test_other_settings_begin_anew(pairs, tmp_path):
    """The state of a training with another seed is not gone on from."""
    train(pairs, SETTINGS, {}, tmp_path)
    epochs: list[float] = []
    other = Training(**{**vars(SETTINGS), "seed": 1})
    train(pairs, other, {}, tmp_path, lambda figures: epochs.append(figures["epoch"]))
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STUDY.replace(SNAPSHOTS, ""), "make no training pairs"),
        (STUDY.replace(SNAPSHOTS, "snapshots: [15, 30]\n"), "make no training pairs"),
        (STUDY.replace(OBJECTS, ""), "a single object"),
        (STUDY.replace("object.pattern: {range: 4}", "object.size: [32, 40]"), "several sizes"),
    ],
)
def test_studies_that_cannot_train(tmp_path, text, message):
    """No two snapshots ten iterations apart, one object only, or several sizes."""
    plan = plan_of(study_file(tmp_path, text, head=HEAD))
    store, _ = carry_out(plan, tmp_path / "results")
    with pytest.raises(StudyError, match=message):
        pairs_of(read_run(file) for file in inventory(store).done.values())


def test_snapshots_are_stored(tmp_path):
    """Object and probe at the iterations that were asked for and reached; the last is where the run ended."""
    plan = plan_text(tmp_path, "snapshots: [3, 1, 7]\n")
    store, _ = carry_out(plan, tmp_path / "results")
    (file,) = inventory(store).done.values()
    record = read_run(file)
    assert list(record.snapshots) == [1, 3]
    np.testing.assert_array_equal(record.snapshots[3][0], record.object)
    assert not np.array_equal(record.snapshots[1][0], record.object)
    assert not read_run(file, images=False).snapshots
