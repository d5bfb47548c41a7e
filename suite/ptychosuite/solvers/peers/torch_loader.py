"""What torch's packages need: a loader that hands out the batches it is told to, and optimisers at hand."""

from __future__ import annotations

from typing import Any


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
