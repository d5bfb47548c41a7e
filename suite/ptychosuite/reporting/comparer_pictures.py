"""The pictures of the page's comparer: truths and runs in the gauge of the metrics, small, in 8 bits."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Complex, UInt8
from PIL import Image

from ptychosuite.analysis.in_gauge import Shown
from ptychosuite.reporting.figures.material import RunFiles
from ptychosuite.reporting.page_content import Picture

LONGEST_SIDE_PX = 256
MOST_BYTES = 4_000_000  # of all data URIs together
BRIGHTEST = 0.999  # quantile of the magnitudes that the scale ends at
ROOM = 1.5  # times the brightest of the truth, at most
NEARLY_ALL, FEW = 0.98, 12  # share of the pixels, and runs, that the reach of a difference is found from
SAMPLE = 40  # conditions, or runs where no truth is known, that the scale is found from: more do not fit
MAGNITUDE_STEPS, PHASE_STEPS = 253, 254


@dataclass(frozen=True)
class Comparand:
    """A run that the comparer may show.

    Parameters
    ----------
    label
        What the list of pictures calls it.
    series, condition
        Places in the lists of the page.
    run_id
        The run.
    path
        Its file, as in the column ``path``; read when its turn comes, with its images only if
        ``RunFiles.pictured`` has it.
    """

    label: str
    series: int
    condition: int
    run_id: str
    path: str


@dataclass(frozen=True)
class Comparison:
    """What the comparer chooses from.

    Parameters
    ----------
    pictures
        Of each condition its truth, where it is known, and its runs.
    top
        Magnitude that the brightest code stands for.
    left_out
        Number of runs that there was no room for, or that have kept no object.
    reach
        Of a difference: the share of the scale, in per cent, that nearly all pixels of a run are from the
        truth within.
    """

    pictures: Sequence[Picture]
    top: float
    left_out: int
    reach: int = 25


@dataclass(frozen=True)
class Thumbnail:
    """A field (H, W) small enough for the page, and which of its pixels there are."""

    field: Complex[np.ndarray, "H W"]
    mask: Bool[np.ndarray, "H W"]


def comparison(
    runs: Iterable[Comparand], files: RunFiles, conditions: Sequence[str], most_bytes: int = MOST_BYTES
) -> Comparison:
    """Pictures of the runs and their truths, condition by condition, as many as fit.

    Parameters
    ----------
    runs
        In the order of the page; one a line and condition.
    files
        Reads them. Their paths have to be in ``files.pictured`` before the first is read.
    conditions
        Their labels.
    most_bytes
        Of the data URIs together.
    """
    ordered = sorted(runs, key=lambda run: run.condition)
    groups = [list(group) for _, group in itertools.groupby(ordered, key=lambda run: run.condition)]
    top = _top(groups[:SAMPLE], files)
    pictures: list[Picture] = []
    room = most_bytes
    for group in groups:
        name = f"truth · {conditions[group[0].condition]}" if len(conditions) > 1 else "truth"
        for fresh in _group(group, files, name, top):
            room -= sum(len(picture.source) for picture in fresh)
            if room < 0:
                break
            pictures += fresh
        if room < 0:
            break
    shown = sum(bool(picture.run_id) for picture in pictures)
    return Comparison(pictures, top, len(ordered) - shown, _reach(ordered[:shown][:FEW], files, top))


def _reach(runs: Sequence[Comparand], files: RunFiles, top: float) -> int:
    ends = []
    for run in runs:
        truth = files.scene(run.path).truth
        if truth is not None and files.run(run.path).object is not None:
            found, exact = thumbnail(files.shown(run.path)), thumbnail(truth)
            distance = np.abs(np.abs(found.field) - np.abs(exact.field))[found.mask & exact.mask]
            ends += [float(np.quantile(distance, NEARLY_ALL))] if distance.size else []
    return min(100, max(1, round(100 * float(np.median(ends)) / top))) if ends else Comparison.reach


def _group(
    group: Sequence[Comparand], files: RunFiles, truth_label: str, top: float
) -> Iterator[list[Picture]]:
    """The pictures of one condition, run by run; the truth comes with the first."""
    with_truth: list[Picture] = []
    if (truth := files.scene(group[0].path).truth) is not None:
        with_truth = [_picture(truth, top, truth_label, group[0].condition)]
    for run in group:
        if files.run(run.path).object is not None:
            yield [*with_truth, _picture(files.shown(run.path), top, run.label, run.condition, run)]
            with_truth = []


def _top(groups: Sequence[Sequence[Comparand]], files: RunFiles) -> float:
    """The upper end of the magnitudes: of the truths with room for what runs have beyond; or of the runs."""
    truths = [files.scene(group[0].path).truth for group in groups]
    paths = [run.path for group in groups for run in group][:SAMPLE]
    exact = _brightest([truth for truth in truths if truth is not None])
    runs = _brightest([files.shown(path) for path in paths if files.run(path).object is not None])
    if not exact:
        return max(runs, default=1.0) or 1.0
    return max(max(exact), min(max(runs, default=0.0), ROOM * max(exact))) or 1.0


def _brightest(views: Iterable[Shown]) -> list[float]:
    """Where the magnitudes of each end, but for a few pixels."""
    small = [thumbnail(view) for view in views]
    return [float(np.quantile(np.abs(each.field[each.mask]), BRIGHTEST)) for each in small if each.mask.any()]


def _picture(view: Shown, top: float, label: str, condition: int, run: Comparand | None = None) -> Picture:
    small = thumbnail(view)
    height, width = small.field.shape
    return Picture(
        label=label,
        source=_data_uri(np.hstack([magnitude_codes(small, top), phase_codes(small)])),
        height=height,
        width=width,
        run_id="" if run is None else run.run_id,
        series=None if run is None else run.series,
        condition=condition,
    )


def thumbnail(view: Shown) -> Thumbnail:
    """The object at no more than :data:`LONGEST_SIDE_PX`: means of the complex field over squares of pixels.

    Only pixels that are compared count; a square of which fewer than half are is left out.
    """
    mask = view.compared & np.isfinite(view.object)
    field = np.where(mask, view.object, 0)
    factor = -(-max(field.shape) // LONGEST_SIDE_PX)
    present, counted, total = (_sums(each, factor) for each in (np.ones_like(mask), mask, field))
    return Thumbnail(total / np.maximum(counted, 1), 2 * counted >= present)


def _sums(array: np.ndarray, factor: int) -> np.ndarray:
    """Sums over squares of ``factor`` pixels; those at the far edges may be cut short."""
    for axis, length in enumerate(array.shape):
        starts = np.arange(0, length, factor)
        dtype = None if np.iscomplexobj(array) else np.int64
        array = np.add.reduceat(array, starts, axis=axis, dtype=dtype)
    return array


def magnitude_codes(small: Thumbnail, top: float) -> UInt8[np.ndarray, "H W"]:
    """As :class:`~ptychosuite.reporting.page_content.Picture` says."""
    steps = np.rint(np.abs(small.field) / top * MAGNITUDE_STEPS)
    return np.where(small.mask, 1 + np.minimum(steps, MAGNITUDE_STEPS + 1), 0).astype(np.uint8)


def phase_codes(small: Thumbnail) -> UInt8[np.ndarray, "H W"]:
    """As :class:`~ptychosuite.reporting.page_content.Picture` says."""
    steps = np.rint((np.angle(small.field) + np.pi) / (2 * np.pi) * PHASE_STEPS)
    return np.where(small.mask, 1 + steps, 0).astype(np.uint8)


def _data_uri(codes: UInt8[np.ndarray, "H W"]) -> str:
    content = io.BytesIO()
    Image.fromarray(codes).save(content, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
