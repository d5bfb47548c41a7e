"""Models of cdtools and tasks of pty-chi, made as their users make them, are seen in our convention."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import ptychosuite
import pytest
from ptychosuite.errors import UserError
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.physics.shift import shift_phases
from ptychosuite.solvers.peers import own_cdtools, own_ptychi
from ptychosuite.solvers.peers.drive_cdtools import moved

pytestmark = pytest.mark.filterwarnings("ignore:Converting a tensor:UserWarning")  # pty-chi's own

SIZE = 16
RNG = np.random.default_rng(0)
POSITIONS = np.array([[0.0, 0.0], [3.3, 1.9], [1.6, 7.0], [7.0, 4.4], [5.5, 5.5]])
OBJECT = 1 + 0.3 * (RNG.standard_normal((25, 25)) + 1j * RNG.standard_normal((25, 25)))
PROBE = 30 * np.exp(-(((np.mgrid[:SIZE, :SIZE] - 7.5) ** 2).sum(axis=0)) * (0.05 + 0.02j))


def ours(positions, obj=OBJECT, probe=PROBE):
    """Intensities (N, m, m) of our model."""
    whole = np.rint(positions).astype(int)
    phases = shift_phases(SIZE, positions - whole, probe)
    return diffraction_intensity(obj, probe, whole, phases)


def import_or_skip(package):
    with warnings.catch_warnings(action="ignore"):
        try:
            return __import__(package)
        except (ImportError, OSError, RuntimeError) as error:
            pytest.skip(f"{package} cannot be imported ({error}); pip install 'ptychosuite[peers]'")


def test_patches_that_are_cut_at_the_pixel_below():
    """cdtools written down once more: its corners and its probe, in our convention, give its patterns."""
    below = np.floor(POSITIONS).astype(int)
    phases = shift_phases(SIZE, POSITIONS - below, PROBE)
    theirs = diffraction_intensity(OBJECT, PROBE, below, phases)
    corners = own_cdtools.first_corners(POSITIONS, is_fancy=True)
    np.testing.assert_array_equal(np.rint(corners), below)
    np.testing.assert_allclose(ours(corners, probe=moved(PROBE, 0.5)), theirs, rtol=1e-3, atol=1)


@pytest.mark.parametrize("is_fancy", [False, True])
def test_whole_translations_are_corners(is_fancy):
    found = own_cdtools.first_corners(np.array([[1.0002, 3.0], [6.9999, 0.0]]), is_fancy)
    np.testing.assert_array_equal(found, [[1, 3], [7, 0]])


def test_patches_whose_centres_are_told():
    """pty-chi counts the centre of a patch of 16 pixels, 7.5 px from its corner, from the object's centre."""
    np.testing.assert_allclose(
        own_ptychi.first_corners(np.array([[-4.0, 2.25]]), np.full(2, 11.5), 16), [[0, 6.25]]
    )


def cdtools_model(kind, positions, step_m=2e-8):
    """As its users make it: translations in metres, geometry of a detector, ``from_dataset``."""
    import_or_skip("cdtools")
    import torch
    from cdtools.datasets import Ptycho2DDataset
    from cdtools.models import FancyPtycho, SimplePtycho

    wavelength, distance = 1e-9, 1.0
    pixel = wavelength * distance / (SIZE * step_m)
    basis = np.array([[0, -pixel], [-pixel, 0], [0, 0]], np.float32)
    rows_columns = np.array([[0, -step_m], [-step_m, 0]])  # metres (x, y) of one pixel along rows, columns
    translations = np.pad(positions @ rows_columns.T, ((0, 0), (0, 1))).astype(np.float32)
    patterns = np.fft.fftshift(ours(np.rint(positions)), axes=(-2, -1)).astype(np.float32)
    dataset = Ptycho2DDataset(
        translations,
        patterns,
        wavelength=wavelength,
        detector_geometry={"distance": distance, "basis": basis},
    )
    if kind == "simple":
        model = SimplePtycho.from_dataset(dataset)
    else:
        model = FancyPtycho.from_dataset(dataset, n_modes=1, obj_padding=3)
    rng = np.random.default_rng(1)
    obj = 1 + 0.2 * (rng.standard_normal(model.obj.shape) + 1j * rng.standard_normal(model.obj.shape))
    with torch.no_grad():
        model.obj[:] = torch.as_tensor(obj, dtype=torch.complex64)
        if kind == "moved":
            model.translation_offsets[:] = torch.as_tensor(rng.uniform(0, 0.6, positions.shape))
            model.background[2:5, 3:9] = 40.0
            model.weights[:] = torch.linspace(0.8, 1.2, len(positions))
        indices = torch.arange(len(positions))
        dataset.patterns = model.forward(indices, dataset.translations).detach()
    return model, dataset


@pytest.mark.parametrize("kind", ["simple", "fancy", "moved"])
@pytest.mark.parametrize("positions", [np.rint(POSITIONS), POSITIONS], ids=["whole", "between"])
def test_cdtools_is_explained_by_our_model(kind, positions):
    """Patterns that its own model makes are, of object and probe as we read them, those that ours makes."""
    model, dataset = cdtools_model(kind, positions)
    loop = ptychosuite.cdtools_loop(model, dataset)
    obj, probe = loop.state
    assert ptychosuite.deviance(loop.data, (obj, probe)) < 1e-3
    assert ptychosuite.deviance(loop.data, (obj.T, probe)) > 1
    assert not loop.data.probe_known


@pytest.mark.parametrize("kind", ["simple", "moved"])
def test_cdtools_goes_to_what_it_is_given(kind):
    import torch

    model, dataset = cdtools_model(kind, POSITIONS)
    dataset.patterns = 1.2 * dataset.patterns
    reconstructor = adam_of(model, dataset)
    next(iter(reconstructor.optimize(1, lr=1e-3, batch_size=2)))
    loop = ptychosuite.cdtools_loop(model, dataset, optimizer=reconstructor.optimizer)
    (obj, probe), was = loop.state, model.obj.detach().clone()
    loop.go_to((obj, probe))
    again, probe_again = loop.state
    np.testing.assert_allclose(again, obj, atol=1e-6)
    np.testing.assert_allclose(probe_again, probe, rtol=1e-4, atol=1e-3 * np.abs(probe).max())
    kept = reconstructor.optimizer.state[model.obj]
    assert not kept["exp_avg"].any()
    assert kept["exp_avg_sq"].any()
    loop.go_to((2 * obj, 3j * probe))
    np.testing.assert_allclose(model.obj.detach().numpy(), 2 * was.numpy(), rtol=1e-5)
    np.testing.assert_allclose(loop.state[1], 3j * probe, rtol=1e-3, atol=1e-3 * np.abs(probe).max())
    assert isinstance(model.obj, torch.nn.Parameter)


def adam_of(model, dataset):
    from cdtools.reconstructors import AdamReconstructor

    return AdamReconstructor(model, dataset)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_modes": 2}, "2 modes"), ({"n_modes": 1, "oversampling": 2}, "oversampling"),
     ({"n_modes": 1, "exponentiate_obj": True}, "exponentiate_obj")],
)  # fmt: skip
def test_cdtools_models_that_ours_cannot_be(settings, message):
    _, dataset = cdtools_model("simple", POSITIONS)
    from cdtools.models import FancyPtycho

    with pytest.raises(UserError, match=message):
        ptychosuite.cdtools_loop(FancyPtycho.from_dataset(dataset, **settings), dataset)


@pytest.fixture(autouse=True)
def default_device():
    """pty-chi sets torch's, for the whole process."""
    yield
    if torch := sys.modules.get("torch"):
        torch.set_default_device(None)


def ptychi_task(algorithm="LSQML", **probe):
    """As its users make it: positions from the object's middle, zero frequency in that of patterns."""
    import_or_skip("ptychi")
    import ptychi.api as api
    from ptychi.api.task import PtychographyTask

    options = getattr(api, f"{algorithm}Options")()
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.batch_size = 2
    options.data_options.data = np.fft.fftshift(ours(np.rint(POSITIONS)), axes=(-2, -1)).astype(np.float32)
    positions = np.rint(POSITIONS) - np.rint(POSITIONS).mean(axis=0)
    return PtychographyTask(
        options,
        object_data=np.pad(OBJECT, 3, mode="edge")[None].astype(np.complex64),
        probe_data=probe.get("probe", PROBE[None, None]).astype(np.complex64),
        probe_position_y_px=positions[:, 0],
        probe_position_x_px=positions[:, 1],
    )


def test_ptychi_is_explained_by_our_model():
    import_or_skip("ptychi")
    import torch

    task = ptychi_task()
    model = task.reconstructor.forward_model
    with torch.no_grad():
        theirs = torch.cat([model(torch.arange(k, k + 1)) for k in range(len(POSITIONS))])
    task.dataset.patterns = theirs.detach().cpu()
    loop = ptychosuite.ptychi_loop(task)
    obj, probe = loop.state
    assert ptychosuite.deviance(loop.data, (obj, probe)) < 1e-3
    assert ptychosuite.deviance(loop.data, (obj.T, probe)) > 1


def test_ptychi_goes_to_what_it_is_given():
    task = ptychi_task()
    task.run(1)
    loop = ptychosuite.ptychi_loop(task)
    obj, probe = loop.state
    loop.go_to((2 * obj, 3j * probe))
    np.testing.assert_allclose(loop.state[0], 2 * obj, rtol=1e-5)
    np.testing.assert_allclose(loop.state[1], 3j * probe, rtol=1e-5)
    task.run(1)
    assert np.isfinite(loop.state[0]).all()


def test_ptychi_tasks_that_ours_cannot_be():
    import_or_skip("ptychi")
    for task, message in (
        (ptychi_task(probe=np.stack([PROBE, PROBE])[None]), "2 incoherent modes"),
        (ptychi_task("DM"), "exit waves"),
    ):
        with pytest.raises(UserError, match=message):
            ptychosuite.ptychi_loop(task)
