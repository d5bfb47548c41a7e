"""The network: a small U-Net that predicts a change.

O. Ronneberger, P. Fischer, T. Brox, "U-Net", MICCAI 2015, with four encoder-decoder levels. The first level
works on squares of 2 x 2 pixels taken together as channels (W. Shi and co-workers, CVPR 2016), which makes it
four times cheaper than at full resolution. The last layer starts at zero and sees the input as well: an
untrained network predicts no change, and what is linear in the input it learns at once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import nn

SQUARE = 2  # pixels on a side that are taken together
LEVEL_WIDTHS = (1, 2, 3, 4)  # of the levels, in units of the width
MULTIPLE = SQUARE * 2 ** (len(LEVEL_WIDTHS) - 1)  # an image is padded to a multiple of so many pixels
COARSE = 8  # pixels on a side that the view of the whole field takes together
REACHES = (1, 2, 4, 8)  # of its layers, in coarse pixels: 240 pixels together, either way

Channels = Float[torch.Tensor, "n channels h w"]
Change = Float[torch.Tensor, "n 2 h w"]


class UNet(nn.Module):  # type: ignore[misc]
    """From channels to a change, for any h and w.

    Parameters
    ----------
    channels
        Number of input channels.
    width
        Number of features of the first level.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        widths = [factor * width for factor in LEVEL_WIDTHS]
        inputs = [channels * SQUARE**2, *widths]
        self.encoder = nn.ModuleList(map(_double_convolution, inputs, widths))
        lower, upper = widths[:0:-1], widths[-2::-1]
        self.narrow = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(lower, upper, strict=True))
        self.decoder = nn.ModuleList(_double_convolution(2 * b, b) for b in upper)
        self.last = nn.Conv2d(width + inputs[0], 2 * SQUARE**2, 3, padding=1)
        for layer in self.modules():
            if isinstance(
                layer, nn.Conv2d
            ):  # without normalisation, torch's own start fades within a few layers
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Channels) -> Change:
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % MULTIPLE, 0, -height % MULTIPLE), mode="replicate")
        squares = x = F.pixel_unshuffle(x, SQUARE)
        kept = []
        for level, encode in enumerate(self.encoder):
            x = encode(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for narrow, decode in zip(self.narrow, self.decoder, strict=True):
            x = decode(torch.cat([F.interpolate(narrow(x), scale_factor=2.0), kept.pop()], dim=1))
        x = self.last(torch.cat([x, squares], dim=1))
        return F.pixel_shuffle(x, SQUARE)[..., :height, :width]


class WholeField(nn.Module):  # type: ignore[misc]
    """A smooth change from a coarse view of the whole field, as :class:`UNet`.

    What an object has at low frequencies no small window tells, and solvers find it last. Convolutions with
    holes (F. Yu, V. Koltun, ICLR 2016) on means over squares of pixels; it starts at no change.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, reach in zip((channels, *[width] * 3), REACHES, strict=True):
            layers += [
                nn.Conv2d(inputs, width, 3, padding=reach, dilation=reach, padding_mode="replicate"),
                nn.ReLU(inplace=True),
            ]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Conv2d(width, 2, 1)
        for layer in self.layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                nn.init.zeros_(layer.bias)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Channels) -> Change:
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % COARSE, 0, -height % COARSE), mode="replicate")
        x = self.last(self.layers(F.avg_pool2d(x, COARSE)))
        smooth = F.interpolate(x, scale_factor=float(COARSE), mode="bilinear", align_corners=False)
        return smooth[..., :height, :width]


class WithWholeField(UNet):
    """A U-Net, and what the whole field tells beside it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width)
        self.whole = WholeField(channels, width)

    def forward(self, x: Channels) -> Change:
        return super().forward(x) + self.whole(x)


class Pair(nn.Module):  # type: ignore[misc]
    """One U-Net for the object and one for the probe; the object's sees the whole field where asked for."""

    def __init__(self, channels: int, width: int, whole_field: bool = False) -> None:
        super().__init__()
        self.object = (WithWholeField if whole_field else UNet)(channels, width)
        self.probe = UNet(channels, width)
        self.to(memory_format=torch.channels_last)  # twice as fast on a CPU

    def forward(
        self, objects: Channels, probes: Float[torch.Tensor, "n channels m m"]
    ) -> tuple[Change, Float[torch.Tensor, "n 2 m m"]]:
        return self.object(objects), self.probe(probes)


def _double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.ReLU(inplace=True),
    )
