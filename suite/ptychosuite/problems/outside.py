"""What another program has reconstructed, read from its files and held against the problem it is of."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float

from ptychosuite.core.problem import Problem
from ptychosuite.errors import DataFileError
from ptychosuite.problems.from_files import holds_one_array, object_pixel_m, read_array, read_wave
from ptychosuite.problems.measured.raw import as_modes
from ptychosuite.problems.measured.waves import strongest_and_all

SAME_PIXEL = 1e-3  # relative


@dataclass(frozen=True)
class Outside:
    """Object, and probe and positions where the files have them, in this suite's conventions."""

    files: Sequence[str]
    object: Complex128[np.ndarray, "H W"]
    probe: Complex128[np.ndarray, "M m m"] | None = None  # mutually incoherent modes, strongest first
    positions_px: Float[np.ndarray, "N 2"] | None = None  # (row, column) of each patch's first corner
    pixel_m: tuple[float, float] | None = None  # height and width, where a file says so

    @property
    def sha256(self) -> str:
        """Hash of the numbers, whatever kind of file they came in."""
        content = hashlib.sha256()
        for array in (self.object, self.probe, self.positions_px):
            content.update(b"none" if array is None else f"{array.shape}".encode() + array.tobytes())
        return content.hexdigest()


def read_outside(files: Sequence[str], object_key: str, probe_key: str, problem: Problem) -> Outside:
    """What ``files`` hold: one with object and probe, or object, probe and positions, a file each.

    Parameters
    ----------
    object_key, probe_key
        Names of the arrays, where a file has several and they are not in the usual place of its format.

    Raises
    ------
    DataFileError
        A file cannot be read, or what it holds is not of ``problem``.
    """
    first, second = files[0], files[min(1, len(files) - 1)]
    obj = np.squeeze(read_wave(first, object_key, "object"))
    probe = _probe(second, probe_key, is_own=len(files) > 1)
    found = Outside(
        files,
        np.ascontiguousarray(obj),
        None if probe is None else np.ascontiguousarray(probe),
        _positions(files[2]) if len(files) > 2 else None,
        object_pixel_m(first, object_key, "object", problem.probe_size),
    )
    _refuse_other_shapes(found, problem)
    return found


def refuse_other_pixel(found: Outside, pixel_m: float | None) -> None:
    """Refuse what has another pixel than the problem's, ``pixel_m``, as far as both are known.

    Raises
    ------
    DataFileError
        They differ.
    """
    if found.pixel_m is None or pixel_m is None:
        return
    if max(abs(side / pixel_m - 1) for side in found.pixel_m) > SAME_PIXEL:
        height, width = found.pixel_m
        raise DataFileError(
            f"{found.files[0]}: its pixel is {height:.5g} x {width:.5g} m, that of the problem {pixel_m:.5g} "
            "m; reconstruct with the problem's pixel, or resample"
        )


def _probe(path: str, key: str, is_own: bool) -> np.ndarray | None:
    """All modes of the probe, strongest first; None where a file that is the object's too has none."""
    if not is_own and holds_one_array(path):
        return None
    try:
        wave = read_wave(path, key, "probe")
    except DataFileError:
        if is_own or key:
            raise
        return None
    modes = as_modes(wave, key or "probe", path).reshape(-1, *wave.shape[-2:])
    strongest, several = strongest_and_all(modes)
    return strongest[None] if several is None else several


def _positions(path: str) -> np.ndarray:
    found = np.squeeze(read_array(path, "", part="positions"))
    if found.dtype.kind not in "iuf" or not np.isfinite(found).all():
        raise DataFileError(f"{path}: expected positions as real numbers, none of them NaN or infinite")
    return np.ascontiguousarray(found, dtype=np.float64)


def _refuse_other_shapes(found: Outside, problem: Problem) -> None:
    """Refuse arrays that are not of the shapes that ``problem`` has."""
    shape, m, n = problem.start_object.shape, problem.probe_size, problem.n_positions
    if found.object.shape != shape:
        raise DataFileError(
            f"{found.files[0]}: the object has shape {found.object.shape}, that of the problem is {shape}; "
            "cut or pad it, so that patches lie where the problem has them"
        )
    if found.probe is not None and found.probe.shape[1:] != (m, m):
        raise DataFileError(
            f"{found.files[min(1, len(found.files) - 1)]}: the probe has shape {found.probe.shape[1:]}, that "
            f"of the problem is {(m, m)}"
        )
    if found.probe is None and not problem.probe_known:
        raise DataFileError(
            f"{found.files[0]} holds no probe, and that of the problem is unknown: name the file that has it "
            "after that of the object, or its array with --probe-key"
        )
    if found.positions_px is not None and found.positions_px.shape != (n, 2):
        raise DataFileError(
            f"{found.files[2]}: positions have shape {found.positions_px.shape}; expected {(n, 2)}, the row "
            "and the column in pixels of the first corner of each patch"
        )
