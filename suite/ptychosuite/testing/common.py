"""A problem to try things on, the dot test, and what all checks do alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Backend, backend, real_dtype, to_numpy
from ptychosuite.core.problem import Problem, Reference
from ptychosuite.errors import StudyError
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.registry.lookup import completed

ROUNDING = {"complex64": 1e-5, "complex128": 1e-12}


def small_problem(
    chosen: Backend | None = None,
    dtype: str = "complex128",
    *,
    noise: float = 0.0,
    object_size: int = 40,
    probe_size: int = 16,
    step: int = 8,
    seed: int = 0,
    flat_start: bool = True,
) -> Problem:
    """A problem of a few patterns: smooth random object, complex random probe with dim and zero places.

    From a flat start, a full step of the probe meets one pattern exactly, its dark pixels too, and the phase
    of the next exit wave there is then rounding; ``flat_start=False`` keeps comparisons clear of that.

    Parameters
    ----------
    chosen
        The backend its arrays are on; NumPy by default.
    noise
        eta of d = eta * Poisson(|F psi|^2 / eta); 0 is noiseless.
    object_size, probe_size, step
        In pixels.
    """
    chosen = chosen or backend("numpy")
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:object_size, :object_size] / object_size
    phase = np.sin(5 * y) + 0.1 * rng.standard_normal(x.shape)
    obj = (0.7 + 0.3 * np.cos(7 * x + 3 * y)) * np.exp(1j * phase)
    radius = np.hypot(*(np.indices((probe_size, probe_size)) - probe_size // 2)) / (probe_size / 2)
    probe = np.exp(-3 * radius**2) * np.exp(1j * rng.uniform(-np.pi, np.pi, radius.shape)) * (radius < 0.95)
    corners = np.arange(0, object_size - probe_size + 1, step)
    positions = np.stack(np.meshgrid(corners, corners, indexing="ij"), axis=-1).reshape(-1, 2)
    intensity = diffraction_intensity(obj, probe, positions)
    if noise:
        intensity = noise * rng.poisson(intensity / noise)
    return Problem(
        diffraction_amplitude=chosen.asarray(np.sqrt(intensity), real_dtype(dtype)),
        scan_positions_px=positions,
        probe=chosen.asarray(probe, dtype),
        start_object=chosen.asarray(np.ones_like(obj) if flat_start else 0.5 + 0.5 * np.conj(obj), dtype),
        noise=noise,
        reference=Reference(obj, probe, positions),
    )


def dot_test(
    forward: Callable[[np.ndarray], np.ndarray],
    adjoint: Callable[[np.ndarray], np.ndarray],
    domain: Sequence[int],
    image: Sequence[int],
    *,
    seed: int = 0,
    tolerance: float = 1e-10,
) -> None:
    """Check that ``adjoint`` is the adjoint of the linear map ``forward``: <A x, y> = <x, A* y>.

    Parameters
    ----------
    domain, image
        Shapes of x and of A x; both are drawn complex and at random.
    tolerance
        Of the difference, relative to the larger side.

    Raises
    ------
    AssertionError
        The two sides differ, or a shape is wrong.
    """
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for shape in (domain, image))
    there, back = to_numpy(forward(x)), to_numpy(adjoint(y))
    assert there.shape == tuple(image), f"A x has shape {there.shape}; expected {tuple(image)}"
    assert back.shape == tuple(domain), f"A* y has shape {back.shape}; expected {tuple(domain)}"
    left, right = np.vdot(there, y), np.vdot(x, back)
    difference = abs(left - right) / max(abs(left), abs(right), np.finfo(float).tiny)
    assert difference < tolerance, (
        f"<A x, y> = {left:.6g} and <x, A* y> = {right:.6g} differ by {difference:.1e}"
    )


def noun_of(group: str, noun: Any) -> Any:
    """``noun`` with the defaults of its group, as a study makes it."""
    try:
        cls = completed(group, type(noun), type(noun).__name__)
    except StudyError as error:
        raise AssertionError(str(error)) from error
    if isinstance(noun, cls):
        return noun
    return cls(**{field.name: getattr(noun, field.name) for field in dataclasses.fields(noun)})


def truth_of(problem: Problem) -> Reference:
    assert problem.reference is not None
    return problem.reference


def check_alike(name: str, found: Any, expected: Any) -> None:
    """Shape, precision, library and device of ``found`` are those of ``expected``, and its values finite."""
    for what in ("shape", "dtype", "device"):
        a, b = getattr(found, what, None), getattr(expected, what)
        assert a == b, f"{name}: {what} {a}; expected {b}"
    assert type(found) is type(expected), (
        f"{name}: a {type(found).__name__}; expected {type(expected).__name__}"
    )
    assert np.isfinite(to_numpy(found)).all(), f"{name}: values that are not finite"


@contextmanager
def watched(method: str, *held: Any) -> Iterator[None]:
    """Assert that no array inside ``held`` is written to."""
    arrays = [array for each in held for array in arrays_of(each)]
    before = [to_numpy(array).copy() for array in arrays]
    yield
    for array, kept in zip(arrays, before, strict=True):
        assert np.array_equal(to_numpy(array), kept), f"{method} writes into its arguments"


def arrays_of(value: Any) -> list[Any]:
    """Every array inside nested dataclasses and tuples."""
    if dataclasses.is_dataclass(value):
        return [a for f in dataclasses.fields(value) for a in arrays_of(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [a for item in value for a in arrays_of(item)]
    return [value] if hasattr(value, "shape") and hasattr(value, "dtype") else []
