"""Compiles all kernels, for a GPU that need not be there, and prints their names.

Those that take the number of an image for a narrow integer have the word NARROW behind their name.
"""

import re

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
IMAGES = {"_hierarchy": "y", "_tile": "y"}  # the axis of programs that numbers images, where it is not x


def run(kernel, *args, grid, warmup, **constants):
    """In place of a launch."""
    values = dict(zip(kernel.arg_names, args, strict=False)) | constants
    fixed = {parameter.name for parameter in kernel.params if parameter.is_constexpr}
    signature = {n: "constexpr" if n in fixed else type_of(values[n]) for n in kernel.arg_names}
    source = ASTSource(kernel, signature, constexprs={name: values[name] for name in fixed})
    code = triton.compile(source, target=HOPPER).asm["ttir"]
    print(kernel.__name__ + ("" if is_wide(kernel.__name__, code) else "NARROW"))


def is_wide(name, code):
    """Whether what is counted in images is made int64 before it is multiplied."""
    if name == "_weighted_mean":  # a program has a block of all images, which are the rows of its indices
        return not re.search(r"muli .*: tensor<\d+x\d+xi32>", code)
    number = re.search(rf"(%\w+) = tt.get_program_id {IMAGES.get(name, 'x')} ", code)
    if number is None:
        return name == "_next_visits"
    uses = [line for line in code.splitlines() if re.search(rf"= .*{number[1]}\b", line)]
    return all("arith.extsi" in line for line in uses)


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
