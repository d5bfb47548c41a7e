"""Checks for those who write nouns of their own: solvers, operators, metrics, formats.

Each ``check_...`` raises AssertionError, saying what does not hold; the suite's own tests call them too.
:func:`small_problem` is a problem of a few patterns to try things on. docs/plug-ins.md has examples.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Backend, backend, real_dtype, to_numpy
from ptychosuite.core.problem import Problem, Reference
from ptychosuite.fastforward.operator import Snapshot
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.solvers.pie import RPIE

__all__ = ["check_operator", "check_solver", "dot_test", "small_problem"]

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


def check_solver(
    solver: Any,
    *,
    backends: Sequence[str] = ("numpy",),
    dtypes: Sequence[str] = ("complex64", "complex128"),
    keeps_truth: bool = True,
) -> None:
    """Check what every solver promises, on small problems.

    It is a frozen dataclass; ``init`` and ``step`` write into no argument and repeat bit for bit; object and
    probe keep shape, precision, library and device; the first state is the problem's start; values stay
    finite.

    Parameters
    ----------
    solver
        A frozen dataclass with ``init`` and ``step``.
    backends, dtypes
        What it is tried on.
    keeps_truth
        Whether noiseless data with the true object are a fixed point, as for any consistent method.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what.
    """
    _check_frozen(solver)
    for name in backends:
        for dtype in dtypes:
            _check_steps(solver, small_problem(backend(name), dtype, noise=0.5))
            if keeps_truth:
                _check_fixed_point(solver, backend(name), dtype)


def check_operator(
    operator: Any,
    *,
    backends: Sequence[str] = ("numpy",),
    dtypes: Sequence[str] = ("complex64", "complex128"),
) -> None:
    """Check what every fast-forward operator promises, on small problems with known and unknown probe.

                problem = small_problem(backend(name), dtype, noise=0.5)
                problem = dataclasses.replace(problem, probe_known=known)
    have shape, precision, library and device of the state that it is shown, and finite values.

    Parameters
    ----------
    operator
        A frozen dataclass with ``advance``.
    backends, dtypes
        What it is tried on.

    Raises
    ------
    AssertionError
        Something does not hold; the message says what.
    """
    _check_frozen(operator)
    solver = RPIE(alpha=0.1)
    for name in backends:
        for dtype in dtypes:
            for known in (True, False):
                problem = dataclasses.replace(
                    small_problem(backend(name), dtype, noise=0.5), probe_known=known
                )
                start = solver.init(problem)
                after = solver.step(problem, start, np.random.default_rng(0))
                before, now = Snapshot(start.object, start.probe, 0), Snapshot(after.object, after.probe, 1)
                with _watched("advance", problem, before, now):
                    one, other = (operator.advance(problem, now, before) for _ in range(2))
                for what, a, b, shown in zip(
                    ("object", "probe"), one, other, (now.object, now.probe), strict=True
                ):
                    _check_alike(f"the proposed {what}", a, shown)
                    assert np.array_equal(to_numpy(a), to_numpy(b)), f"two proposals differ in the {what}"


def _check_steps(solver: Any, problem: Problem) -> None:
    with _watched("init", problem):
        state = solver.init(problem)
    for name, start in (("object", problem.start_object), ("probe", problem.probe)):
        same = np.array_equal(to_numpy(getattr(state, name)), to_numpy(start))
        assert same, f"the first state's {name} is not what the problem starts from"
    for iteration in range(3):
        with _watched("step", problem, state):
            after, again = (solver.step(problem, state, np.random.default_rng(iteration)) for _ in range(2))
        for name, start in (("object", problem.start_object), ("probe", problem.probe)):
            _check_alike(f"{name} after step {iteration + 1}", getattr(after, name), start)
            same = np.array_equal(to_numpy(getattr(after, name)), to_numpy(getattr(again, name)))
            assert same, f"two steps from one state with one random order differ in the {name}"
        state = after


def _check_fixed_point(solver: Any, chosen: Backend, dtype: str) -> None:
    problem = small_problem(chosen, dtype)
    assert problem.reference is not None
    truth = chosen.asarray(problem.reference.object, dtype)
    state = solver.init(dataclasses.replace(problem, start_object=truth))
    for iteration in range(3):
        state = solver.step(problem, state, np.random.default_rng(iteration))
    moved = float(np.abs(to_numpy(state.object) - to_numpy(truth)).max())
    assert moved < 20 * ROUNDING[dtype], f"from the true object on noiseless data it moves by {moved:.1e}"


def _check_frozen(noun: Any) -> None:
    kind = type(noun)
    parameters = getattr(kind, "__dataclass_params__", None)
    assert parameters is not None, f"{kind.__name__} is no dataclass"
    assert parameters.frozen, f"{kind.__name__} is not frozen: @dataclass(frozen=True)"


def _check_alike(name: str, found: Any, expected: Any) -> None:
    """Shape, precision, library and device of ``found`` are those of ``expected``, and its values finite."""
    for what in ("shape", "dtype", "device"):
        a, b = getattr(found, what, None), getattr(expected, what)
        assert a == b, f"{name}: {what} {a}; expected {b}"
    assert type(found) is type(expected), (
        f"{name}: a {type(found).__name__}; expected {type(expected).__name__}"
    )
    assert np.isfinite(to_numpy(found)).all(), f"{name}: values that are not finite"


@contextmanager
def _watched(method: str, *held: Any) -> Iterator[None]:
    """Assert that no array inside ``held`` is written to; NumPy's are read-only meanwhile."""
    arrays = [array for each in held for array in arrays_of(each)]
    before = [to_numpy(array).copy() for array in arrays]
    frozen = [array for array in arrays if isinstance(array, np.ndarray) and array.flags.writeable]
    for array in frozen:
        array.setflags(write=False)
    try:
        yield
    finally:
        for array in frozen:
            array.setflags(write=True)
    for array, kept in zip(arrays, before, strict=True):
        assert np.array_equal(to_numpy(array), kept), f"{method} writes into its arguments"


def arrays_of(value: Any) -> list[Any]:
    """Every array inside nested dataclasses and tuples."""
    if dataclasses.is_dataclass(value):
        return [a for f in dataclasses.fields(value) for a in arrays_of(getattr(value, f.name))]
    if isinstance(value, tuple):
        return [a for item in value for a in arrays_of(item)]
    return [value] if hasattr(value, "shape") and hasattr(value, "dtype") else []
