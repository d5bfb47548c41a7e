"""Two runs compared."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.analysis.repetition import (
    MORE_THAN_ROUNDING,
    Comparison,
    Likeness,
    compare,
    exit_code,
    may_be_rounding,
    worst_first,
)
from ptychosuite.analysis.rounding import ROUNDING
from ptychosuite.core.runs import RunRecord, Status

from tests.store.records import record


def altered(run: RunRecord, curve: str = "residual", at: int = 2, factor: float = 1.0) -> RunRecord:
    values = np.array(run.curves[curve])
    values[at] *= factor
    return replace(run, curves={**run.curves, curve: values})


def test_times_and_memory_do_not_count():
    """A run that took longer and more memory is identical."""
    run = record(metrics={"seconds": 1.0, "peak_host_bytes": 5.0})
    run = replace(run, curves={**run.curves, "seconds": np.arange(4.0)})
    slow = replace(run, metrics={**run.metrics, "seconds": 9.0, "peak_host_bytes": 7.0})
    slow = replace(slow, curves={**run.curves, "seconds": 3 * np.arange(4.0)})
    assert compare(run, slow).likeness is Likeness.IDENTICAL


def test_rounding_is_within_tolerance():
    """A small difference is named with where it is largest."""
    found = compare(record(), altered(record(), factor=1 + 1e-6))
    assert found.likeness is Likeness.WITHIN
    assert found.largest is not None
    assert (found.largest.quantity, found.largest.iteration) == ("residual", 2)
    assert found.largest.relative == pytest.approx(1e-6, rel=1e-3)
    assert found.first_beyond is None


@pytest.mark.parametrize(("at", "factor"), [(2, 2.0), (3, float("nan")), (1, float("inf"))])
def test_first_iteration_beyond_the_tolerance(at, factor):
    found = compare(record(), altered(record(), at=at, factor=factor))
    assert found.likeness is Likeness.DIFFERENT
    assert found.first_beyond == at


def test_double_precision_is_held_to_more():
    """What single precision may round away is a difference in double precision."""
    single = record()
    double = replace(single, spec=replace(single.spec, dtype="complex128"))
    assert compare(single, altered(single, factor=1 + 1e-7)).likeness is Likeness.WITHIN
    assert compare(double, altered(double, factor=1 + 1e-7)).likeness is Likeness.DIFFERENT


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_images_are_stored_in_single_precision(dtype):
    """A pixel that rounds to its neighbour is no difference in either precision; a wrong object is."""
    run = replace(record(), spec=replace(record().spec, dtype=dtype))
    nudged = run.object * (1 + np.float32(6e-8))
    assert compare(run, replace(run, object=nudged)).likeness is Likeness.WITHIN
    assert compare(run, replace(run, object=2 * run.object)).likeness is Likeness.DIFFERENT
    assert compare(run, replace(run, object=run.object[1:])).likeness is Likeness.DIFFERENT
    assert compare(run, replace(run, probe=None)).likeness is Likeness.DIFFERENT


def test_a_crossing_is_compared_by_its_curve():
    """A crossing that jumps is no difference where the curve is the same; without the curve it is one."""

    def likeness(then: dict[str, float], now: dict[str, float]) -> Likeness:
        before, after = (record(metrics={**record().metrics, **values}) for values in (then, now))
        return compare(before, after).likeness

    assert likeness({"frc_crossing": 0.01}, {"frc_crossing": 0.08}) is Likeness.DIFFERENT
    before = {"frc_crossing": 0.01, "frc_area": 0.4}
    assert likeness(before, {"frc_crossing": 0.08, "frc_area": 0.4}) is Likeness.WITHIN
    assert likeness(before, {"frc_crossing": float("nan"), "frc_area": 0.4}) is Likeness.WITHIN
    assert likeness(before, {"frc_crossing": 0.08, "frc_area": 0.3}) is Likeness.DIFFERENT


def test_missing_curve_or_metric_is_a_difference():
    run = record()
    without = {"residual": run.curves["residual"]}
    assert compare(run, replace(run, curves=without)).likeness is Likeness.DIFFERENT
    assert compare(run, replace(run, metrics={})).likeness is Likeness.DIFFERENT


def test_own_code_is_held_to_more_than_other_libraries():
    """A drift that another FFT explains is a difference where only the code has changed."""
    run = replace(record(), provenance={"code": "a", "packages": {"scipy": "1"}})
    now = altered(replace(run, provenance={"code": "b", "packages": {"scipy": "1"}}), factor=1 + 3e-4)
    assert compare(run, now).likeness is Likeness.DIFFERENT
    other = replace(now, provenance={"code": "b", "packages": {"scipy": "2"}})
    assert compare(run, other).likeness is Likeness.WITHIN


def test_threshold_may_fall_between_iterations():
    """One iteration more to the tolerance is rounding, two are a difference."""
    run, one, two = (record(metrics={"iterations_to_tol": float(n)}) for n in (40, 41, 60))
    assert compare(run, one).likeness is Likeness.WITHIN
    assert compare(run, two).likeness is Likeness.DIFFERENT


def shortened(run: RunRecord, points: int) -> RunRecord:
    return replace(run, curves={name: values[:points] for name, values in run.curves.items()})


def test_number_of_iterations():
    """A run that ends one iteration earlier is compared as far as it goes; two earlier, it is different."""
    run = record(iterations=9)
    assert compare(run, shortened(run, 9)).likeness is Likeness.WITHIN
    found = compare(run, shortened(run, 8))
    assert found.likeness is Likeness.DIFFERENT
    assert found.message == "9 iterations then, 7 now"


def test_run_that_the_clock_ended():
    """What it had time for can be compared, its end cannot."""
    run = record(iterations=9)
    run = replace(run, spec=replace(run.spec, stop={**run.spec.stop, "seconds": 5.0}))
    found = compare(run, shortened(run, 5))
    assert found.likeness is Likeness.UNDECIDED
    assert "ended by the clock after 9 iterations then, 4 now" in found.message
    assert compare(run, altered(shortened(run, 5), factor=2.0)).likeness is Likeness.DIFFERENT


def test_status():
    """The same end is the same; another one is a difference that says why."""
    failed = record(status="failed")
    assert compare(failed, failed).likeness is Likeness.IDENTICAL
    assert compare(record(status="diverged"), record(status="diverged")).likeness is Likeness.IDENTICAL
    found = compare(record(), failed)
    assert found.likeness is Likeness.DIFFERENT
    assert found.message == "completed then, failed now: why it failed"
    assert compare(record(), replace(record(), status=Status.DIVERGED)).likeness is Likeness.DIFFERENT


def test_changes_of_origin():
    """Packages come and go; a pool of threads counts where both had it."""
    then = {"packages": {"numpy": "2.0", "ducc0": "0.4"}, "threads": {"blas": 1}, "cpu": "a", "host": "x"}
    now = {"packages": {"numpy": "2.1"}, "threads": {"blas": 2, "torch": 1}, "cpu": "a", "host": "y"}
    found = compare(replace(record(), provenance=then), replace(record(), provenance=now))
    assert found.changed == {
        "package numpy": ("2.0", "2.1"), "package ducc0": ("0.4", ""), "threads blas": ("1", "2"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("likenesses", "code"),
    [
        ([Likeness.IDENTICAL, Likeness.WITHIN], 0),
        ([Likeness.IDENTICAL, Likeness.UNDECIDED], 3),
        ([Likeness.UNDECIDED, Likeness.DIFFERENT], 1),
        ([], 3),
    ],
)
def test_exit_codes(likenesses, code):
    """A difference is red, what could not be judged is not green, and neither is nothing."""
    assert exit_code([Comparison("r", "s", likeness) for likeness in likenesses]) == code


def test_worst_first_and_json():
    """Differences come first, the larger before the smaller; all of it is plain data."""
    small, large = (compare(record(), altered(record(), factor=f)) for f in (2.0, 3.0))
    same, lost = compare(record(), record()), compare(record(), replace(record(), object=None))
    assert worst_first([same, small, lost, large]) == [lost, large, small, same]
    assert json.loads(json.dumps(lost.to_dict(), allow_nan=False))["likeness"] == "different"


def test_what_rounding_does_here_widens_the_tolerance():
    """Repetitions begun aside say how far: five times as much is allowed."""
    run = record()
    away, aside = (altered(run, factor=1 + x) for x in (0.3, 0.28))
    assert may_be_rounding(compare(run, away))
    found = compare(run, away, [aside])
    assert (found.likeness, found.message) == (Likeness.DIFFERENT, MORE_THAN_ROUNDING)
    far = altered(run, factor=1 + 0.3 * 1.4)
    found = compare(run, away, [far])
    assert (found.likeness, found.message) == (Likeness.WITHIN, ROUNDING)


def test_what_drifts_drifts_on():
    """What rounding does to an iteration is allowed in later ones."""
    run = record()
    late, early = altered(run, at=3, factor=1.3), altered(altered(run, at=3, factor=1.3), at=1, factor=1.1)
    assert compare(run, late, [early]).likeness is Likeness.WITHIN
    first = altered(run, at=1, factor=1.3)
    assert compare(run, first, [altered(first, at=3, factor=1.3)]).likeness is Likeness.DIFFERENT


def test_images_and_figures_have_their_own_rounding():
    run = replace(record(), metrics={"residual": 1.0})
    away = replace(run, object=run.object * np.float32(1.2), metrics={"residual": 1.2})
    aside = replace(run, object=run.object * np.float32(1.3), metrics={"residual": 1.1})
    assert compare(run, away).likeness is Likeness.DIFFERENT
    assert compare(run, away, [aside]).likeness is Likeness.WITHIN
    assert compare(run, away, [replace(aside, object=away.object)]).likeness is Likeness.DIFFERENT
    assert compare(run, away, [replace(aside, metrics=away.metrics)]).likeness is Likeness.DIFFERENT


def test_a_failure_is_no_rounding():
    failed = record(status="failed")
    assert not may_be_rounding(compare(record(), failed))
