"""How a fast-forward operator is trained. Settings only; ``ptychosuite.fastforward.train`` trains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True)
class Training:
    """The section ``train`` of a study: its runs give the pairs.

    Parameters
    ----------
    width
        Features of the network's first level; its cost grows with the square.
    epochs
        Largest number of passes over the pairs.
    batch
        Pairs in a step.
    crop
        Pixels on a side of the part of an object that is trained on, at random; all of a smaller one.
    resumed_sweeps
        Iterations of the solver that are done from where a jump leads, before its distance to the truth is
        taken; 0 to take it at once. Needs whole objects: ``crop`` and augmentation are left out.
    start
        A checkpoint to start from instead of random weights: "default", which comes with the package, or the
        path of a .safetensors file, relative to the study. It has the same ``width``.
    learning_rate
        At first; it falls to zero along a cosine over all epochs.
    whole_field
        The object's network sees the whole field as well, on a grid eight times coarser.
    without_drift
        What has changed in ten iterations is taken without drift in scale, ramp and translation.
    gradient_weight
        Weight in the loss of the differences between neighbouring pixels; the pixels themselves have 1.
    smooth_weight
        Weight in the loss of what is left in the mean over squares of 8 x 8 pixels: low frequencies.
    probe_weight
        Weight of the probe's loss; the object's is 1.
    mixed_precision
        Convolutions in bfloat16; by default (null) on GPUs that have it. On a CPU that has not, it takes
        several times as long.
    validation_share
        Share of the objects that are kept for validation.
    patience
        Epochs without a better validation loss after which training stops.
    held_out
        What the study leaves out for evaluation, in words, for the model card.
    seed
        Of weights, order and augmentation.
    """

    width: Annotated[int, Ge(1)] = 24
    epochs: Annotated[int, Ge(1)] = 40
    batch: Annotated[int, Ge(1)] = 16
    crop: Annotated[int, Ge(16)] = 96
    resumed_sweeps: Annotated[int, Ge(0)] = 0
    start: str = ""
    learning_rate: Annotated[float, Gt(0)] = 2e-3
    whole_field: bool = False
    without_drift: bool = False
    gradient_weight: Annotated[float, Ge(0)] = 0.5
    smooth_weight: Annotated[float, Ge(0)] = 0.0
    probe_weight: Annotated[float, Ge(0), Le(10)] = 1.0
    mixed_precision: bool | None = None
    validation_share: Annotated[float, Gt(0), Lt(1)] = 0.1
    patience: Annotated[int, Ge(1)] = 8
    held_out: str = ""
    seed: Annotated[int, Ge(0)] = 0
