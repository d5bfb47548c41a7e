"""A picture of what a data file holds: scan, mean diffraction pattern, probe."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from ptychosuite.errors import StoreError
from ptychosuite.reporting.style import house_style


def draw_measurement(
    title: str, scan_positions_px: np.ndarray, mean_pattern: np.ndarray, probe: np.ndarray | None, out: Path
) -> None:
    """Draw a measurement into the picture ``out``; its ending says which format.

    Parameters
    ----------
    scan_positions_px : (N, 2)
    mean_pattern : (m, m)
        Mean counts, zero frequency at [0, 0].
    probe : (m, m) complex, optional

    Raises
    ------
    StoreError
        The picture cannot be written.
    """
    mean = np.fft.fftshift(mean_pattern)
    panels = 2 if probe is None else 3
    with house_style():
        figure = Figure(figsize=(4 * panels, 3.9))
        axes = figure.subplots(1, panels)
        rows, columns = scan_positions_px.T
        axes[0].plot(columns, rows, ".", ms=3)
        axes[0].set(title=f"{len(scan_positions_px)} scan positions / px", aspect="equal")
        axes[0].invert_yaxis()
        floor = max(float(mean.max()) * 1e-6, float(mean[mean > 0].min(initial=np.inf)))
        image = axes[1].imshow(np.maximum(mean, floor), norm=LogNorm(), cmap="magma")
        axes[1].set_title("mean counts, zero frequency in the middle")
        figure.colorbar(image, ax=axes[1], shrink=0.8)
        if probe is not None:
            image = axes[2].imshow(np.abs(probe), cmap="magma")
            axes[2].set_title("probe magnitude")
            figure.colorbar(image, ax=axes[2], shrink=0.8)
        for axis in axes[1:]:
            axis.set(xticks=[], yticks=[])
            axis.grid(False)
            axis.spines[:].set_visible(False)
        figure.suptitle(title)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(out)
        except (OSError, ValueError) as error:
            raise StoreError(f"cannot write the picture {out}: {error}") from error
