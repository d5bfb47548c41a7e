"""What torch's packages need: a loader of the batches it is told, optimisers at hand and how they forget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

DIRECTIONS = {"momentum_buffer", "exp_avg"}  # of SGD and of Adam, as torch calls them


def loader_of(dataset: Any, batches: list[list[int]]) -> Any:
    """A loader of ``batches``, a list to be refilled before each epoch.

    Its own generator keeps torch's global one untouched.
    """
    import torch

    return torch.utils.data.DataLoader(dataset, batch_sampler=batches, generator=torch.Generator())


def load_optimisers() -> None:
    """Have torch import now what it puts off until there is an optimiser, which takes seconds."""
    import torch

    torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])


def forget_directions(optimizer: Any, parameters: Iterable[Any]) -> None:
    """Have an optimiser forget where it was going with ``parameters``; how large gradients were, it knows on.

    L-BFGS, whose memory is of all its parameters at once, begins anew.
    """
    moved = {id(parameter) for parameter in parameters}
    for parameter, kept in optimizer.state.items():
        if "old_dirs" in kept:
            kept["n_iter"] = 0
        elif id(parameter) in moved:
            for direction in DIRECTIONS & kept.keys():
                if kept[direction] is not None:
                    kept[direction].zero_()
