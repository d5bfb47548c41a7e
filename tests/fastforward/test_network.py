"""The network and its file: an untrained one changes nothing, a bad file is refused."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from ptychosuite.backends.arrays import to_numpy
from ptychosuite.errors import DataFileError
from ptychosuite.fastforward.features import CHANNELS
from ptychosuite.fastforward.network import FORMAT, Checkpoint, Network, weights_sha256
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.fastforward.unet import Pair, UNet, WithWholeField

from tests.conftest import small_problem

WIDTH = 4


def checkpoint(path: Path, *, trained: bool = False, **card: object) -> Path:
    """A small checkpoint; its last layers are zero unless it is "trained"."""
    torch.manual_seed(0)
    pair = Pair(CHANNELS, WIDTH)
    if trained:
        for net in (pair.object, pair.probe):
            torch.nn.init.normal_(net.last.weight, std=0.1)
    weights = {name: value.numpy() for name, value in pair.state_dict().items()}
    Checkpoint(weights, {"architecture": {"channels": CHANNELS, "width": WIDTH}} | card).write(path)
    return path


def snapshot(problem, iteration: int = 50) -> Snapshot:
    return Snapshot(problem.start_object, problem.probe, iteration)


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (17, 40), (144, 31)])
def test_any_size(shape):
    """Channels of any height and width give a change of the same height and width."""
    change = UNet(CHANNELS, WIDTH)(torch.ones(2, CHANNELS, *shape))
    assert change.shape == (2, 2, *shape)
    assert not change.any()


def test_whole_field_reaches_from_end_to_end():
    """At first it changes nothing; trained, it adds something smooth to which the far end contributes."""
    torch.manual_seed(0)
    net = WithWholeField(CHANNELS, WIDTH)
    x = torch.zeros(1, CHANNELS, 100, 148)
    x[..., 0, 0] = 1
    assert not net(x).any()
    torch.nn.init.normal_(net.whole.last.weight)
    there = net(x) - net(torch.zeros_like(x))
    assert there.shape == (1, 2, 100, 148)
    assert there[..., 80:, 120:].abs().max() > 0
    assert (there[..., 1:, :] - there[..., :-1, :]).abs().max() < 0.2 * there.abs().max()


def test_untrained_network_is_the_identity(tmp_path, each_backend):
    """Object and probe come back as they were, in the library and precision they had."""
    problem = small_problem(each_backend, "complex64", noise=0.1)
    now = snapshot(problem)
    obj, probe = Network.load(checkpoint(tmp_path / "c.safetensors")).advance(problem, now, None)
    assert type(obj) is type(now.object)
    assert obj.dtype == now.object.dtype
    np.testing.assert_array_equal(to_numpy(obj), to_numpy(now.object))
    np.testing.assert_array_equal(to_numpy(probe), to_numpy(now.probe))


def test_trained_network_moves_with_the_gauge(tmp_path):
    """What it makes of a state in another gauge is the same, in that gauge; arguments stay as they were."""
    network = Network.load(checkpoint(tmp_path / "c.safetensors", trained=True))
    problem = small_problem(dtype="complex64", noise=0.1, flat_start=False)
    blind = type(problem)(**{**vars(problem), "probe_known": False})
    now = snapshot(blind)
    now.object.setflags(write=False)
    obj, probe = network.advance(blind, now, None)
    assert np.abs(obj - now.object).max() > 1e-3
    assert np.abs(probe - now.probe).max() > 1e-5
    turn = np.complex64(1.5 * np.exp(1j))
    other, moved = network.advance(blind, Snapshot(turn * now.object, now.probe / turn, 50), None)
    np.testing.assert_allclose(other, turn * obj, atol=1e-4)
    np.testing.assert_allclose(moved, probe / turn, atol=1e-4)


def test_known_probe_stays(tmp_path):
    network = Network.load(checkpoint(tmp_path / "c.safetensors", trained=True))
    problem = small_problem(dtype="complex64")
    now = snapshot(problem)
    assert network.advance(problem, now, None)[1] is now.probe


def test_checkpoint_round_trip(tmp_path):
    """Weights and card come back as they were; the file is safetensors and holds no pickle."""
    path = checkpoint(tmp_path / "sub" / "c.safetensors", held_out="nothing")
    found = Checkpoint.read(path)
    assert found.card["held_out"] == "nothing"
    expected = Pair(CHANNELS, WIDTH).state_dict()
    assert {n: v.shape for n, v in found.weights.items()} == {n: tuple(v.shape) for n, v in expected.items()}
    assert [p.name for p in path.parent.iterdir()] == ["c.safetensors"]


class Explosive:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_pickles_are_refused_unopened(tmp_path):
    """A file in torch's own format is refused, and no code in it runs."""
    mark, path = tmp_path / "mark", tmp_path / "evil.pt"
    torch.save({"weights": Explosive(mark)}, path)
    pickled = tmp_path / "evil.pkl"
    pickled.write_bytes(pickle.dumps(Explosive(mark)))
    for file in (path, pickled):
        with pytest.raises(DataFileError, match="safetensors"):
            Network.load(file)
    assert not mark.exists()


def test_bad_files_are_refused(tmp_path):
    """Missing, cut, foreign and unsuitable files, each with its reason."""
    from safetensors.numpy import save_file

    with pytest.raises(DataFileError, match="cannot be read"):
        Network.load(tmp_path / "none.safetensors")
    good = checkpoint(tmp_path / "good.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-50])
    with pytest.raises(DataFileError, match="cannot be read"):
        Network.load(cut)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": np.zeros(3, np.float32)}, foreign)
    with pytest.raises(DataFileError, match="no fast-forward checkpoint"):
        Network.load(foreign)
    for number, architecture in enumerate(
        ({"channels": CHANNELS, "width": WIDTH + 1}, {"channels": 2, "width": WIDTH}, {"channels": CHANNELS})
    ):
        other = checkpoint(tmp_path / f"{number}.safetensors", architecture=architecture)
        with pytest.raises(DataFileError, match=r"does not fit|architecture 'width' is missing"):
            Network.load(other)


NOT_CARDS = [
    None, 3, "card", [], {}, {"architecture": None}, {"architecture": []}, {"architecture": {"width": WIDTH}},
    *({"architecture": {"channels": CHANNELS, "width": value}}
      for value in (None, "4", 4.0, True, 0, -1, 10**9, 10**30, [4], {}, float("nan"), float("inf"))),
    {"architecture": {"channels": CHANNELS, "width": WIDTH, "depth": 3}},
    {"architecture": {"channels": CHANNELS, "width": WIDTH}, "weights_sha256": None},
    {"architecture": {"channels": CHANNELS, "width": WIDTH}, "weights_sha256": "0" * 64},
]  # fmt: skip


@pytest.mark.parametrize("card", NOT_CARDS, ids=str)
def test_cards_that_cannot_be(tmp_path, card):
    """A key that is missing or of the wrong kind is told in one line, at reading."""
    path = checkpoint(tmp_path / "c.safetensors")
    Checkpoint(Checkpoint.read(path).weights, card).write(path)
    assert refusal(Checkpoint.read, path)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "9" * 5000, '{"architecture": {"width": 4, "width": 5']
)
def test_cards_that_are_no_json(tmp_path, text):
    from safetensors.numpy import save_file

    save_file({"x": np.zeros(3, np.float32)}, tmp_path / "c", {"format": FORMAT, "card": text})
    assert refusal(Checkpoint.read, tmp_path / "c")


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files(tmp_path, seed):
    """Bytes that flip, are cut off or swapped: the file serves as it did, or is refused in one line."""
    path, rng = checkpoint(tmp_path / "good.safetensors"), np.random.default_rng(seed)
    weights = Checkpoint.read(path).weights
    Checkpoint(weights, {**Checkpoint.read(path).card, "weights_sha256": weights_sha256(weights)}).write(path)
    good, bad = path.read_bytes(), tmp_path / "bad.safetensors"
    head = 8 + int.from_bytes(good[:8], "little")
    for case in range(60):
        content = bytearray(good)
        for at in rng.integers(0, head if case % 3 else len(good), rng.integers(1, 4)).tolist():
            content[at] = int(rng.integers(256))
        bad.write_bytes(content[: rng.integers(1, len(good))] if case % 10 == 0 else content)
        with contextlib.suppress(DataFileError):
            found = Network.load(bad).modules.state_dict()
            assert all(np.array_equal(found[name].numpy(), weights[name]) for name in weights)
            continue
        refusal(Network.load, bad)


def refusal(read, path):
    with pytest.raises(DataFileError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)
