"""Going on from a stored run that stopped sooner: what its file keeps for that, and whether it will do.

A solver whose states are plain :class:`~ptychosuite.solvers.solver.SweepState` remembers nothing but where it
is: object and probe, what was found, the passes over the data. With the random order, which goes on where it
stood, that is all that the next iteration depends on, so that an extended run has the bits of one from the
start.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ptychosuite.backends.arrays import Array, asarray_like, to_numpy
from ptychosuite.core.problem import Found, ProbeVariation, Problem
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.execute.loop import is_measured, verdict
from ptychosuite.registry.lookup import class_of
from ptychosuite.solvers.solver import SweepState

STORED_DTYPE = "complex64"  # of images in run files: what was computed in it is there to the bit


def kept_of(spec: RunSpec, state: Any, order: np.random.Generator) -> dict[str, Any]:
    """What a run's file needs beside its images, for the run to be gone on with; nothing where it cannot be.

    Parameters
    ----------
    state, order
        Where the run has ended, and the generator that has drawn its scan orders.
    """
    if type(state) is not SweepState or spec.fast_forward is not None or spec.dtype != STORED_DTYPE:
        return {}
    if not all(to_numpy(array).flags.c_contiguous for array in (state.object, state.probe)):
        return {}  # sums are taken in memory's order, which files do not keep
    found = Found.by(state)
    drawn = order.bit_generator.state
    return {
        "order": {
            **{name: f"{drawn['state'][name]:x}" for name in ("state", "inc")},  # of 128 bits each
            **{name: int(drawn[name]) for name in ("has_uint32", "uinteger")},
        },
        "data_passes": int(state.data_passes),
        "found": [name for name in ("positions_px", "variation") if getattr(found, name) is not None],
    }


def refusal(spec: RunSpec, earlier: RunRecord) -> str:
    """Why ``spec`` cannot go on from ``earlier``, a run that differs from it in ``stop``; empty where it can.

    Images of ``earlier`` are not asked for.
    """
    if earlier.status is not Status.COMPLETED:
        return f"the stored run ended otherwise ({earlier.status})"
    if not earlier.state:
        return _why_not_kept(spec, earlier)
    curves, begun = earlier.curves, earlier.spec.stop
    last = len(curves["seconds"]) - 1
    for iteration in range(1, last + 1):
        seconds = float(curves["seconds"][iteration])
        measured = is_measured(begun, iteration, seconds)
        if is_measured(spec.stop, iteration, seconds) > measured and iteration < spec.stop["iterations"]:
            return f"the stored run was not measured after iteration {iteration}, as this run is"
        figures = {name: float(values[iteration]) for name, values in curves.items()}
        if iteration < last and _ends(spec.stop, iteration, seconds, figures):
            return f"this run ends sooner than the stored one, after iteration {iteration}"
    return ""


def _ends(stop: Mapping[str, Any], iteration: int, seconds: float, figures: Mapping[str, float]) -> bool:
    """Whether a rule of ``stop`` ends a run, which has not diverged, after this iteration."""
    if iteration >= stop["iterations"]:
        return True
    return (
        is_measured(stop, iteration, seconds)
        and verdict(stop, iteration, seconds, figures, float("inf")) is not None
    )


def _why_not_kept(spec: RunSpec, earlier: RunRecord) -> str:
    if spec.fast_forward is not None:
        return "what a fast-forward remembers of the way is not stored"
    if spec.dtype != STORED_DTYPE:
        return f"results keep images in single precision, and this is a run in {spec.dtype}"
    if earlier.provenance.get("stack"):
        return "the stored run was advanced side by side with others (--stack), which rounds in another way"
    name = spec.solver["name"]
    return f"'{name}' remembers {class_of('solvers', name).remembers}, which is not stored"


def state_at_end(earlier: RunRecord, problem: Problem) -> SweepState:
    """Where ``earlier`` has ended, in the arrays of ``problem``, which it has solved."""
    assert earlier.object is not None
    assert earlier.probe is not None

    def there(array: np.ndarray) -> Array:
        return asarray_like(array, problem.start_object)

    probe = earlier.probe if earlier.probe_modes is None else earlier.probe_modes
    return SweepState(
        there(earlier.object), there(probe), earlier.state["data_passes"], _found(earlier, there)
    )


def _found(earlier: RunRecord, there: Any) -> Found | None:
    names = earlier.state["found"]
    variation = None
    if "variation" in names:
        assert earlier.pattern_weights is not None
        intensity, weights = earlier.pattern_weights[:, 0].copy(), earlier.pattern_weights[:, 1:].copy()
        modes = earlier.probe_variations
        variation = ProbeVariation(intensity, *((there(modes), weights) if modes is not None else ()))
    positions = earlier.scan_positions_px if "positions_px" in names else None
    return Found(positions, variation) if names else None


def order_at_end(earlier: RunRecord) -> np.random.Generator:
    """The generator of scan orders, as ``earlier`` has left it."""
    drawn: Mapping[str, Any] = earlier.state["order"]
    generator = np.random.PCG64()
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": int(drawn["state"], 16), "inc": int(drawn["inc"], 16)},
        "has_uint32": drawn["has_uint32"],
        "uinteger": drawn["uinteger"],
    }
    return np.random.Generator(generator)


def told_of(earlier: RunRecord) -> dict[str, Any]:
    """What provenance says of the run that another has gone on from."""
    known = earlier.provenance
    return {
        "run_id": earlier.run_id,
        "iterations": len(earlier.curves["seconds"]) - 1,
        **{name: known[name] for name in ("start", "end", "host") if name in known},
        **({"extended": known["extended"]} if "extended" in known else {}),
    }
