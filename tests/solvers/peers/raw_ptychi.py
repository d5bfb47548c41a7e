"""pty-chi as its own users drive it, without our adapter: what it does with a problem, told as JSON.

Run by :mod:`tests.solvers.peers.test_traps` in a process of its own, because pty-chi sets torch's defaults.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import ptychi.api as api
import torch
from ptychi.api.task import PtychographyTask

given = np.load(sys.argv[1])
M = given["probe"].shape[-1]
SPECIFIED = {
    "object_options.determine_position_origin_coords_by": api.ObjectPosOriginCoordsMethods.SPECIFIED,
    "object_options.position_origin_coords": np.full(2, (M - 1) / 2),
}


def task(kind, settings, probe=given["probe"], intensity=given["intensity"]):
    """A task with pty-chi's defaults but for ``settings``, with a known probe."""
    options = getattr(api, f"{kind}Options")()
    options.data_options.fft_shift = False
    options.probe_options.optimizable = False
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.default_dtype = api.Dtypes.FLOAT64
    for path, value in settings.items():
        *way, name = path.split(".")
        at = options
        for each in way:
            at = getattr(at, each)
        setattr(at, name, value)
    rows, columns = given["positions"].T
    return PtychographyTask(
        options,
        diffraction_data=intensity,
        object_data=given["object"][None],
        probe_data=probe[None, None],
        probe_position_y_px=rows,
        probe_position_x_px=columns,
    )


def modelled(of):
    with torch.no_grad():
        each = [of.reconstructor.forward_model(torch.arange(k, k + 1)) for k in range(len(of.dataset))]
    return torch.cat(each).numpy()


def misfit(of, intensity=given["intensity"]):
    return float(((np.sqrt(modelled(of)) - np.sqrt(intensity)) ** 2).sum() / (2 * M**2))


def after(of, epochs):
    for _ in range(epochs):
        of.run(n_epochs=1)
    return of


def by_seed(seed):
    settings = {"reconstructor_options.random_seed": seed, "reconstructor_options.batch_size": 5}
    return after(task("EPIE", SPECIFIED | settings), 2).get_data_to_cpu("object", as_numpy=True)


def largest_probe(is_rescaled):
    settings = {"object_options.remove_object_probe_ambiguity.enabled": is_rescaled}
    run = after(task("EPIE", SPECIFIED | settings), 11)
    return float(np.abs(run.get_data_to_cpu("probe", as_numpy=True)).max())


def raar(settings):
    """Misfits at the start, after 5 and after 30 epochs."""
    run = task("RAAR", SPECIFIED | settings)
    return [misfit(run), misfit(after(run, 5)), misfit(after(run, 25))]


def losses():
    """Its own figure and ours, epoch by epoch."""
    settings = {"reconstructor_options.batch_size": 1, "object_options.alpha": 1.0}
    run = task("EPIE", SPECIFIED | settings)
    found = [misfit(after(run, 1)) for _ in range(3)]
    return [run.reconstructor.loss_tracker.table["loss"].tolist(), found]


start, orthonormal = task("EPIE", SPECIFIED), given["intensity"] / M**2
facts = {
    "light of the first pattern": float(modelled(start)[0].sum()),
    "misfit": misfit(start),
    "misfit of orthonormal data": {
        "probe / m": misfit(task("EPIE", SPECIFIED, given["probe"] / M, orthonormal), orthonormal),
        "probe": misfit(task("EPIE", SPECIFIED, intensity=orthonormal), orthonormal),
    },
    "misfit with the default origin": misfit(task("EPIE", {})),
    "change by the seed": float(np.abs(by_seed(1) - by_seed(2)).max()),
    "largest of the probe": {"rescaled": largest_probe(True), "not": largest_probe(False)},
    "losses": losses(),
    "default beta": api.RAAROptions().reconstructor_options.beta,
    "raar": {"default": raar({}), "0.55": raar({"reconstructor_options.beta": 0.55})},
}
print(json.dumps(facts))
