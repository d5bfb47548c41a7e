"""What is timed of a study."""

from __future__ import annotations

from pathlib import Path

from ptychosuite.timing.cases import Case, cases

from tests.study.small import plan_text


def cases_of(folder: Path, extra: str) -> list[Case]:
    return cases(plan_text(folder, extra))


def test_seeds_and_noise_make_no_case(tmp_path):
    (case,) = cases_of(tmp_path, "solver: rpie\naxes: {seed: {range: 3}, problem.noise: [0.05, 0.1]}\n")
    assert (case.name, case.iterations, case.whole) == ("rpie", 3, False)


def test_solvers_settings_sizes_and_precision_do(tmp_path):
    found = cases_of(
        tmp_path,
        "axes:\n"
        "  solver: [{name: rpie, alpha: 0.1}, {name: rpie, alpha: 0.2}, lbfgs]\n"
        "  problem.scan.overlap: [0.25, 0.5]\n"
        "  dtype: [complex64, complex128]\n"
        "  seed: {range: 2}\n",
    )
    assert len(found) == 12
    names = [case.name for case in found]
    assert len(set(names)) == 12
    assert "rpie · alpha 0.1 · 4 patterns of 16 px · complex64" in names


def test_what_an_object_looks_like_does_not_but_its_size_does(tmp_path):
    texture, circuit = "{kind: texture, size: 32}", "{kind: dead-leaves, size: 32}"
    small = cases_of(tmp_path, f"solver: rpie\naxes: {{problem.object: [{texture}, {circuit}]}}\n")
    assert len(small) == 1
    larger = circuit.replace("32", "64")
    assert len(cases_of(tmp_path, f"solver: rpie\naxes: {{problem.object: [{texture}, {larger}]}}\n")) == 2


def test_a_start_probe_is_other_work(tmp_path):
    probe = "{kind: gaussian, size: 16, fwhm_px: 4}"
    known, unknown = cases_of(tmp_path, f"solver: rpie\naxes: {{problem.start_probe: [null, {probe}]}}\n")
    assert (known.name, unknown.name) == ("rpie", "rpie · unknown probe")


def test_settings_that_no_run_varies_are_not_in_the_name(tmp_path):
    (case,) = cases_of(tmp_path, "solver: {name: magpie, alpha: 0.1, levels: 2}\n")
    assert case.name == "magpie"


def test_defaults_are_not_in_the_name(tmp_path):
    default, other = cases_of(tmp_path, "axes: {solver: [rpie, {name: rpie, alpha: 0.2}]}\n")
    assert (default.name, other.name) == ("rpie", "rpie · alpha 0.2")


def test_a_fast_forward_is_timed_up_to_its_last_comparison(tmp_path):
    jump = "{kind: identity, warm_up: 5, jumps: 2, spacing: 4, look_ahead: 3}"
    plan = plan_text(tmp_path, f"solver: rpie\naxes: {{fast_forward: [off, {jump}]}}\n", "stop.iterations=20")
    plain, carried = cases(plan)
    assert (plain.whole, carried.whole) == (False, True)
    assert (carried.name, carried.iterations) == ("rpie · identity at 5, 9, look-ahead 3", 12)
