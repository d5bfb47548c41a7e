"""A problem's groups of settings: checked, completed, axes of a study, no part of the identity where idle."""

from __future__ import annotations

import dataclasses

import numpy as np
import ptychosuite
import pytest
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import StudyError
from ptychosuite.problems.problem_kind import Size, kind_of
from ptychosuite.problems.simulated import Simulated
from ptychosuite.store.read import read_reference, read_run
from ptychosuite.study.json_schema import study_schema

from tests.study.small import HEAD, carry_out, plan_of, plan_text, study_file

FAULTS = "  margin_px: 6\n  position_errors: {random_px: 0.5}\n"


def problem_text(folder, lines):
    """Plan the small study with ``lines`` added to its problem, from line 5 on."""
    head = HEAD.replace("stop:", f"{lines}stop:")
    return plan_of(study_file(folder, head=head))


def test_groups_are_completed(tmp_path):
    """Every setting of every group is in a run, with its default."""
    (run,) = problem_text(tmp_path, FAULTS).runs
    assert run.problem["position_errors"] == {
        "random_px": 0.5, "drift_px": [0.0, 0.0], "backlash_px": 0.0, "rotation_deg": 0.0, "scale": 0.0,
        "shear_deg": 0.0,
    }  # fmt: skip
    for name, group in Simulated.groups.items():
        assert set(run.problem[name]) == {field.name for field in dataclasses.fields(group)}
    assert isinstance(kind_of(run.problem).size(), Size)


def test_idle_groups_are_no_part_of_the_identity(tmp_path):
    """Said or not, in full, in part or as null: the run is the one that it was without."""
    (plain,) = plan_text(tmp_path, "").runs
    bare = {
        name: value
        for name, value in plain.problem.items()
        if name not in (*Simulated.groups, "photons", "margin_px", "rotation_deg", "hold_out")
    }
    assert set(bare) == {"kind", "object", "probe", "scan", "noise", "start_probe"}
    before = RunSpec(**{**plain.to_dict(), "problem": bare})
    assert (before.spec_id, before.problem_id) == (plain.spec_id, plain.problem_id)
    said = "  coherence: {powers: []}\n  detector: null\n  photons: null\n  fly_scan: {blur_px: 0}\n"
    (run,) = problem_text(tmp_path, said).runs
    assert (run.spec_id, run.problem_id) == (plain.spec_id, plain.problem_id)
    (faulty,) = problem_text(tmp_path, FAULTS).runs
    assert faulty.spec_id != plain.spec_id
    assert faulty.problem_id != plain.problem_id


def test_every_default_does_nothing():
    """What the identity leaves out is what the dataclasses declare: null, zero, off or empty."""
    for group in Simulated.groups.values():
        for field in dataclasses.fields(group):
            value = field.default
            assert not (any(value) if isinstance(value, tuple) else value), (group, field.name)


@pytest.mark.parametrize(
    ("lines", "place", "said"),
    [
        ("  position_errors: {random: 1}\n", "5:21", "did you mean 'random_px'?"),
        ("  position_errors: {random_px: -1}\n", "5:21", "greater than or equal to 0"),
        ("  position_errors: 1.5\n", "5:3", "expected keys and values"),
        ("  position_errors: {drift_px: [1, 2, 3]}\n", "5:21", "at most 2 items"),
        ("  coherence: {powers: [0.2, 0.8]}\n", "5:15", "expected the strongest first"),
        ("  coherence: {powers: [1, -1]}\n", "5:", "greater than 0"),
        ("  coherence: {powers: [1, 1], source_fwhm_px: 1}\n", "5:31", "'powers' are given as well"),
        ("  coherence: {n_modes: 3}\n", "5:15", "say 'source_fwhm_px' as well"),
        ("  coherence: {source_fwhm_px: 3}\n", "5:15", "1/16 of the probe"),
        ("  detector: {gap_px: 2}\n", "5:14", "'module_px' is missing"),
        ("  detector: {gap_px: 2, module_px: 40}\n", "5:25", "has no gap then"),
        ("  detector: {mask_saturated: on}\n", "5:14", "'saturation' is missing"),
        ("  detector: {dead_pixels: 1}\n", "5:14", "less than or equal to 0.9"),
        ("  fly_scan: {blur_px: 2}\n", "", "say margin_px: 1 "),
        ("  photons: 1000\n  noise: 0.1\n", "5:3", "'noise' is given as well"),
        ("  photons: 0\n", "5:3", "greater than 0"),
        ("  margin_px: 12\n", "5:3", "make the object larger"),
        ("  positon_errors: {}\n", "5:3", "did you mean 'position_errors'?"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(tmp_path, lines, place, said):
    with pytest.raises(StudyError) as refused:
        problem_text(tmp_path, lines)
    assert f"tiny.yaml:{place}" in str(refused.value)
    assert said in str(refused.value)


def test_settings_of_groups_are_axes(tmp_path):
    """Numbers are numbers, lists are texts; ideal data are among them."""
    extra = (
        "axes:\n  problem.position_errors.random_px: [0, 0.5]\n  problem.coherence.powers: [[], [0.8, 0.2]]\n"
    )
    plan = plan_text(tmp_path, "axes:\n  problem.margin_px: [6]\n" + extra[6:])
    assert len(plan.runs) == 4
    assert plan.factors["problem.position_errors.random_px"] is True
    assert plan.factors["problem.coherence.powers"] is False
    _, tally = carry_out(plan, tmp_path / "results")
    assert not tally.counts.get("failed", 0)
    dataset = ptychosuite.open(str(tmp_path / "results" / "tiny")).dataset
    assert sorted(dataset["random_px"].values.tolist()) == [0, 0, 0.5, 0.5]
    assert set(map(str, dataset["powers"].values)) == {"", "0.8, 0.2"}


def test_a_misspelt_axis_finds_its_group(tmp_path):
    with pytest.raises(StudyError, match=r"did you mean 'problem\.position_errors\.random_px'"):
        plan_text(tmp_path, "axes: {random_px: [0, 1]}\n")


def test_photons_instead_of_noise(tmp_path):
    """Where one is given the other is null; an axis may go from one to the other."""
    (run,) = problem_text(tmp_path, "  photons: 1000\n").runs
    assert run.problem["noise"] is None
    runs = plan_text(tmp_path, "axes: {problem.photons: [null, 1000]}\n").runs
    assert [run.problem["noise"] for run in runs] == [0.05, None]


def test_truth_is_stored(tmp_path):
    """What is true of a run comes back from the store as it was, and nothing where there was nothing."""
    lines = (
        FAULTS + "  coherence: {powers: [0.8, 0.2]}\n  illumination: {intensity_rms: 0.1, variation: 0.1}\n"
    )
    plan = problem_text(tmp_path, lines)
    store, _ = carry_out(plan, tmp_path / "results")
    reference = read_reference(store, read_run(store.run_file(plan.run_ids[0])).reference)
    truth = kind_of(plan.runs[0].problem).make(plan.runs[0].rng, "float32", None).reference
    assert reference.name == truth.name
    assert reference.arrays.keys() == truth.arrays.keys()
    for name, array in truth.arrays.items():
        np.testing.assert_array_equal(reference.arrays[name], array)
    plain = plan_text(tmp_path, "")
    store, _ = carry_out(plain, tmp_path / "plain")
    ideal = read_reference(store, read_run(store.run_file(plain.run_ids[0])).reference)
    assert set(ideal.arrays) == {"object", "probe", "scan_positions_px"}


def test_schema_knows_the_groups():
    """What the reader takes, an editor offers; what it refuses is marked."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(study_schema())
    good = {
        "position_errors": {"random_px": 1.5, "drift_px": [1, 2]},
        "coherence": {"powers": [0.8, 0.2]},
        "detector": {"mask_saturated": "on", "saturation": 100},
        "fly_scan": None,
        "photons": 1e4,
    }
    assert validator.is_valid({"study": "a", "problem": good})
    for bad in ({"position_errors": {"random": 1}}, {"coherence": {"powers": [-1]}}, {"detector": 3}):
        assert not validator.is_valid({"study": "a", "problem": bad}), bad


def test_groups_are_listed():
    """With their settings and defaults, as those of nouns are."""
    settings = ptychosuite.available("problems")["simulated"]["settings"]
    assert settings["position_errors"]["random_px"] == 0.0
    assert settings["detector"]["gain"] is None
