"""Compiles all kernels, for a GPU that need not be there, and prints their names."""

import numpy as np
import triton
from ptychosuite.backends.arrays import backend
from ptychosuite.physics import likelihood_triton
from ptychosuite.solvers import (
    emagpie_triton,
    multigrid_triton,
    pie_triton,
    solver_triton,
    stacked_sweep_triton,
)
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

HOPPER = GPUTarget("cuda", 90, 32)
POINTERS = {"float32": "*fp32", "int64": "*i64"}
NUMBERS = {int: "i32", float: "fp32"}


def run(kernel, *args, grid, warmup, **constants):
    """In place of a launch."""
    values = dict(zip(kernel.arg_names, args, strict=False)) | constants
    fixed = {parameter.name for parameter in kernel.params if parameter.is_constexpr}
    signature = {n: "constexpr" if n in fixed else type_of(values[n]) for n in kernel.arg_names}
    source = ASTSource(kernel, signature, constexprs={name: values[name] for name in fixed})
    triton.compile(source, target=HOPPER)
    print(kernel.__name__)


def type_of(value):
    if hasattr(value, "dtype"):
        return POINTERS[str(value.dtype).rpartition(".")[2]]
    return NUMBERS[type(value)]


def call_all(size, levels):
    xp = backend("torch").library
    z, Q = (xp.ones((n, size, size), dtype=xp.complex64) for n in (4, 1))
    real, weights = (xp.ones((n, size, size), dtype=xp.float32) for n in (4, 1))
    likelihood_triton.wave_correction(z, real, weights[0])
    solver_triton.direction(Q, z)
    solver_triton.weighted_mean(Q[0], z, z)
    pie_triton.stepped(z, z, weights)
    pie_triton.stepped_along(Q, z, z, 0.1)
    pie_triton.step_size(z, xp.ones((4, 1, 1), dtype=xp.float32))
    pie_triton.regularisation(Q, 0.1)
    emagpie_triton.geometric_mean(Q, z)
    coefficients = multigrid_triton.hierarchy(Q, weights, levels)
    multigrid_triton.corrected(z, z, coefficients)
    multigrid_triton.v_cycle(z, coefficients)
    visits = xp.asarray(np.zeros((4, 6), dtype=np.int64))
    here = stacked_sweep_triton.next_visits(visits, visits[0, :1], 3)
    stacked_sweep_triton.put_in(z, here, stacked_sweep_triton.cut_out(z, here, size))
    stacked_sweep_triton.patterns_at(real, here)


if __name__ == "__main__":
    triton.JITFunction.run = run
    call_all(128, 7)
    call_all(24, 3)
