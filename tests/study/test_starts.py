"""What a study gives its runs to start from: of files, of a measured file's own, of runs of another study."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import RunSpec, Status
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.execute.one_run import execute
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.problems.build import build_problem
from ptychosuite.registry.fingerprint import code_of
from ptychosuite.store.layout import Store
from ptychosuite.store.read import inventory, read_run
from ptychosuite.store.write import write_run
from ptychosuite.warmstart import from_runs

from tests.conftest import small_problem
from tests.study.small import HEAD, carry_out, plan_of, plan_text, study_file
from tests.study.test_measured_study import write_star

EARLIER = "axes:\n  solver: [{name: rpie, alpha: 0.1}, epie]\n  seed: {range: 2}\n"
NUMPY = backend("numpy")


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Results of an earlier study: two solvers, two seeds, three iterations each."""
    folder = tmp_path_factory.mktemp("earlier")
    carry_out(plan_text(folder, EARLIER), folder / "results")
    return folder


def results_of(folder):
    return folder / "results" / "tiny"


def record_of(folder, solver, seed):
    runs = map(read_run, inventory(Store.open(str(results_of(folder)))).done.values())
    (found,) = (run for run in runs if (run.spec.solver_name, run.spec.seed) == (solver, seed))
    return found


def starting(folder, study, where="{solver: rpie, seed: 1}", start="start_object", more=""):
    line = f"  {start}: {{kind: run, study: {study}, where: {where}{more}}}\n"
    return plan_of(study_file(folder, head=HEAD.replace("stop:", f"{line}stop:"), name="later.yaml"))


def test_a_run_goes_on_where_another_ended(earlier, tmp_path):
    """Its first figures are the other's last ones, and its object is that from the store."""
    (spec,) = starting(tmp_path, results_of(earlier)).runs
    before = record_of(earlier, "rpie", 1)
    assert spec.problem["start_object"]["run_id"] == before.run_id
    problem = build_problem(spec, NUMPY)
    np.testing.assert_array_equal(problem.start_object, before.object)
    record, _ = execute(replace(spec, seed=1))
    assert record.status is Status.COMPLETED
    assert record.curves["residual"][0] == pytest.approx(before.metrics["residual"], rel=1e-5)


def test_the_run_is_the_identity_not_its_place(earlier, tmp_path):
    """Results that have moved, and another description of the same run, change nothing."""
    moved = tmp_path / "moved"
    shutil.copytree(results_of(earlier), moved)
    run_id = record_of(earlier, "rpie", 1).run_id
    here, there, named = (
        starting(tmp_path, study, where).runs[0]
        for study, where in (
            (results_of(earlier), "{solver: rpie, seed: 1}"),
            ("moved", "{solver.name: rpie, solver.alpha: 0.1, seed: 1}"),
            (moved, f"{{run_id: {run_id}}}"),
        )
    )
    assert here.spec_id == there.spec_id == named.spec_id
    assert here.problem_id == there.problem_id
    other = starting(tmp_path, moved, "{solver: rpie, seed: 0}").runs[0]
    assert other.spec_id != here.spec_id


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("{solver: rpie}", ["2 runs", "seed (0, 1)"]),
        ("{}", ["4 runs", "seed (0, 1)", "solver.name"]),
        ("{solver: mpie}", ["no run has solver", '"epie", "rpie"']),
        ("{sed: 0}", ["'sed'", "seed"]),
        ("{size: 16}", ["problem.object.size", "problem.probe.size"]),
        ("3", ["found 3", "settings"]),
    ],
)
def test_it_has_to_be_one_run(earlier, tmp_path, where, words):
    """Otherwise it is said how many there are, and what tells them apart; with line and column."""
    with pytest.raises(StudyError) as refused:
        starting(tmp_path, results_of(earlier), where)
    message = str(refused.value)
    assert "later.yaml:5:" in message
    assert "problem.start_object.where" in message
    assert all(word in message for word in words), message


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(StudyError, match=r"there are no results in .*nowhere"):
        starting(tmp_path, "nowhere")
    with pytest.raises(StudyError, match=r"none\.yaml"):
        starting(tmp_path, "none.yaml")
    with pytest.raises(StudyError, match="it is found, not given"):
        starting(tmp_path, "nowhere", more=", run_id: abc")


def test_a_study_file_stands_for_its_results(earlier, tmp_path, monkeypatch):
    monkeypatch.chdir(earlier)
    (spec,) = starting(tmp_path, earlier / "tiny.yaml").runs
    assert spec.problem["start_object"]["study"] == str(results_of(earlier))


def test_a_run_that_failed_is_refused(tmp_path):
    plan = plan_text(tmp_path, "solver: {name: rpie}\n")
    store, _ = carry_out(plan, tmp_path / "results")
    ((run_id, file),) = inventory(store).done.items()
    record = read_run(file)
    file.delete()
    write_run(store, replace(record, status=Status.DIVERGED))
    with pytest.raises(StudyError, match=f"run {run_id} is diverged"):
        starting(tmp_path, results_of(tmp_path), "{seed: 0}")


def test_a_run_that_is_gone_later_is_told(earlier, tmp_path):
    """On the worker: the user has to act, no run of this kind can succeed."""
    moved = tmp_path / "moved"
    shutil.copytree(results_of(earlier), moved)
    (spec,) = starting(tmp_path, "moved").runs
    shutil.rmtree(moved)
    from_runs._completed.cache_clear()
    with pytest.raises(DataFileError, match="not to be had"):
        build_problem(replace(spec, problem={**spec.problem, "noise": 0.2}), NUMPY)


@pytest.mark.parametrize(
    ("start", "kind", "words"),
    [
        ("start_object", "{kind: texture, size: 48}", ["48 x 48", "32 x 32"]),
        ("start_object", "guess", ["'guess'", "'simulated' holds no object"]),
        ("start_probe", "{kind: gaussian, size: 8}", ["8 pixels", "16"]),
        ("start_positions", "{kind: fermat-spiral}", ["positions to start from", "patterns"]),
        ("start_objct", "{kind: texture, size: 32}", ["start_objct"]),
    ],
)
def test_shapes_are_checked_when_a_study_is_planned(tmp_path, start, kind, words):
    head = HEAD.replace("stop:", f"  {start}: {kind}\nstop:")
    with pytest.raises(StudyError) as refused:
        plan_of(study_file(tmp_path, head=head))
    assert "tiny.yaml:5:" in str(refused.value)
    assert all(word in str(refused.value) for word in words), refused.value


def test_the_probe_of_a_run(earlier, tmp_path):
    (spec,) = starting(tmp_path, results_of(earlier), start="start_probe").runs
    spec = replace(spec, seed=1)
    assert spec.problem_id == record_of(earlier, "rpie", 1).spec.problem_id
    problem = build_problem(spec, NUMPY)
    np.testing.assert_array_equal(problem.probe, record_of(earlier, "rpie", 1).probe)
    assert not problem.probe_known


def test_positions_are_told_to_solvers_alone(tmp_path):
    """The data are those of the true ones; the ones of a file are taken as they are."""
    (plain,) = plan_of(study_file(tmp_path)).runs
    truth = build_problem(plain, NUMPY)
    told = truth.positions_px + np.random.default_rng(0).uniform(-0.3, 0.3, (truth.n_positions, 2))
    np.save(tmp_path / "told.npy", told)
    head = HEAD.replace("stop:", "  start_positions: {kind: file, path: told.npy}\nstop:")
    (spec,) = plan_of(study_file(tmp_path, head=head, name="told.yaml")).runs
    problem = build_problem(replace(spec, problem={**spec.problem, "noise": 0.0}), NUMPY)
    true = build_problem(replace(plain, problem={**plain.problem, "noise": 0.0}), NUMPY)
    np.testing.assert_allclose(problem.positions_px, told, atol=1e-12)
    np.testing.assert_array_equal(problem.diffraction_amplitude[:], true.diffraction_amplitude[:])
    np.testing.assert_array_equal(problem.reference.scan_positions_px, true.positions_px)


def test_positions_outside_are_moved_as_one(tmp_path):
    """By whole pixels: whole positions stay whole. In an object that a truth fixes they have to fit."""
    (plain,) = plan_of(study_file(tmp_path)).runs
    truth = build_problem(plain, NUMPY).positions_px
    np.save(tmp_path / "told.npy", truth[:, ::-1] - [3, 0])
    head = HEAD.replace("stop:", "  start_positions: {kind: file, path: told.npy}\nstop:")
    (spec,) = plan_of(study_file(tmp_path, head=head)).runs
    problem = build_problem(spec, NUMPY)
    np.testing.assert_array_equal(problem.positions_px, truth[:, ::-1])
    assert problem.subpixel_shifts_px is None
    np.save(tmp_path / "told.npy", 2 * truth)
    with pytest.raises(StudyError, match="there is room for 16 x 16"):
        plan_of(study_file(tmp_path, head=head))


def test_positions_stay_in_the_frame_of_the_object_to_start_from(tmp_path):
    """A run that has found some outside goes on there, by patches of the border and the probe's shift."""
    (plain,) = plan_of(study_file(tmp_path)).runs
    problem = build_problem(plain, NUMPY)
    found = problem.positions_px - [1.2, 0]
    np.save(tmp_path / "told.npy", found)
    np.save(tmp_path / "object.npy", problem.reference.object)
    starts = "{kind: file, path: told.npy}\n  start_object: {kind: file, path: object.npy}"
    head = HEAD.replace("stop:", f"  start_positions: {starts}\nstop:")
    (spec,) = plan_of(study_file(tmp_path, head=head)).runs
    begun, wanted = build_problem(spec, NUMPY), problem.at(found)
    np.testing.assert_array_equal(begun.scan_positions_px, wanted.scan_positions_px)
    np.testing.assert_allclose(begun.subpixel_shifts_px, wanted.subpixel_shifts_px, atol=1e-12)
    np.testing.assert_allclose(begun.start_object, problem.reference.object, rtol=1e-6)


def test_settings_that_do_nothing_leave_the_identity(tmp_path):
    """A study of before has the runs it always had."""
    plain, nulls = (
        plan_of(study_file(tmp_path, head=HEAD.replace("stop:", f"{extra}stop:"))).runs[0]
        for extra in ("", "  start_object: null\n  start_positions: null\n")
    )
    assert plain.spec_id == nulls.spec_id
    assert "start_object" not in plain.problem


def test_axes_name_what_runs_begin_from(earlier, tmp_path):
    """What leads to the run is a factor, what was found is none."""
    axis = f"{{kind: run, study: {results_of(earlier)}, where: {{solver: rpie, seed: 0}}}}"
    plan = plan_text(
        tmp_path, f"axes: {{problem.start_object: [{axis}], problem.start_object.where.seed: [0, 1]}}\n"
    )
    assert len(plan.runs) == 2
    assert plan.factors == {"problem.start_object.where.seed": True}


def test_the_code_that_reads_runs_counts(earlier, tmp_path):
    """For runs that begin from one, and for no others."""
    (plain,) = plan_of(study_file(tmp_path)).runs
    (spec,) = starting(tmp_path, results_of(earlier)).runs
    assert "warmstart/from_runs.py" in code_of(spec).files
    assert not any(file.startswith(("store/", "warmstart/")) for file in code_of(plain).files)


def test_run_spec_of_starts_is_plain(earlier, tmp_path):
    """It goes to a worker and back."""
    (spec,) = starting(tmp_path, results_of(earlier)).runs
    assert RunSpec.from_dict(spec.to_dict()).spec_id == spec.spec_id


@pytest.fixture
def measured(tmp_path):
    """A file of patterns with a guess of its probe, of half its power, and of its object."""
    problem, rng = small_problem(noise=0.0), np.random.default_rng(0)
    truth = problem.reference
    assert truth is not None
    intensity = diffraction_intensity(truth.object, truth.probe, problem.scan_positions_px)
    arrays = {
        "data": np.fft.fftshift(rng.poisson(intensity), axes=(1, 2)).astype(np.uint32),
        "positions_px": problem.scan_positions_px,
        "probe": truth.probe * np.sqrt(0.5),
    }
    np.savez(tmp_path / "bare.npz", **arrays)
    np.savez(tmp_path / "star.npz", **arrays, object=truth.object)
    return tmp_path


def measured_problem(folder, settings):
    text = f"study: tiny\nproblem: {{kind: file, {settings}}}\nstop: {{iterations: 2}}\n"
    (spec,) = plan_of(study_file(folder, head=text)).runs
    return spec, build_problem(spec, NUMPY)


def power(probe):
    return float((np.abs(probe) ** 2).sum())


def test_the_object_of_a_measured_file(measured):
    _, problem = measured_problem(measured, "path: star.npz, start_object: guess")
    wanted = small_problem(noise=0.0).reference.object
    np.testing.assert_allclose(problem.start_object, wanted, rtol=1e-5)
    with pytest.raises(DataFileError, match="holds no object to start from"):
        measured_problem(measured, "path: bare.npz, start_object: guess")


def test_a_probe_that_is_kept(measured, tmp_path):
    """By default it has the power of the counts; where the study says so its own."""
    held = power(np.load(measured / "star.npz")["probe"])
    scaled, kept = (
        measured_problem(measured, f"path: star.npz{more}")
        for more in (", probe_scale: null", ", probe_scale: kept")
    )
    assert power(kept[1].probe) == pytest.approx(held, rel=1e-6)
    data = scaled[1].diffraction_amplitude[:]
    counts = float((data**2).sum()) / len(data)
    assert power(scaled[1].probe) * data.shape[-1] ** 2 == pytest.approx(counts, rel=1e-5)
    assert "probe_scale" not in scaled[0].problem
    assert scaled[0].problem_id == kept[0].problem_id
    assert scaled[0].spec_id != kept[0].spec_id


def test_the_probe_of_a_run_is_kept(measured, tmp_path):
    """Whatever it is; unless the study says otherwise."""
    kept = "{kind: file, path: star.npz, probe_scale: kept}"
    text = f"study: tiny\nproblem: {kept}\nstop: {{iterations: 2}}\nsolver: epie\n"
    carry_out(plan_of(study_file(tmp_path, head=text)), tmp_path / "results")
    (record,) = map(read_run, inventory(Store.open(str(results_of(tmp_path)))).done.values())
    start = f"start_probe: {{kind: run, study: {results_of(tmp_path)}}}"
    spec, problem = measured_problem(measured, f"path: star.npz, {start}")
    assert spec.problem["probe_scale"] == "kept"
    np.testing.assert_array_equal(problem.probe, record.probe)
    _, scaled = measured_problem(measured, f"path: star.npz, probe_scale: counts, {start}")
    assert power(scaled.probe) != pytest.approx(power(record.probe), rel=1e-3)


def test_positions_enlarge_an_object_that_no_truth_fixes(measured):
    """And an object to start from has to have the size that comes of it."""
    positions = np.load(measured / "star.npz")["positions_px"] * 1.5
    np.save(measured / "told.npy", positions)
    told = "start_positions: {kind: file, path: told.npy}"
    plain = measured_problem(measured, "path: star.npz")[1].start_object.shape
    _, problem = measured_problem(measured, f"path: star.npz, {told}")
    assert problem.start_object.shape[0] > plain[0]
    np.testing.assert_allclose(problem.positions_px, positions)
    with pytest.raises(StudyError, match="the object of this problem has"):
        measured_problem(
            measured, f"path: star.npz, {told}, start_object: {{kind: texture, size: {plain[0]}}}"
        )


def test_modes_and_positions_that_a_run_has_found(tmp_path):
    """All modes of its probe, whose power is that of all; positions as it has corrected them."""
    solver = "solver: {name: rpie, probe_modes: 2, positions: gradient, positions_start: 0}\n"
    text = f"study: tiny\nproblem: {{kind: file, path: star.npz}}\nstop: {{iterations: 2}}\n{solver}"
    write_star(tmp_path / "star.npz")
    carry_out(plan_of(study_file(tmp_path, head=text)), tmp_path / "results")
    (record,) = map(read_run, inventory(Store.open(str(results_of(tmp_path)))).done.values())
    run = f"{{kind: run, study: {results_of(tmp_path)}}}"
    _, problem = measured_problem(
        tmp_path, f"path: star.npz, start_object: {run}, start_probe: {run}, start_positions: {run}"
    )
    np.testing.assert_array_equal(problem.probe_modes, record.probe_modes)
    assert power(problem.probe) == pytest.approx(power(record.probe_modes), rel=1e-6)
    np.testing.assert_allclose(problem.positions_px, record.scan_positions_px, atol=1e-12)
    np.testing.assert_array_equal(problem.start_object, record.object)


def test_positions_of_a_simulated_run_are_those_it_was_given(earlier, tmp_path):
    (spec,) = starting(tmp_path, results_of(earlier), start="start_positions").runs
    (plain,) = plan_of(study_file(tmp_path)).runs
    found, wanted = (build_problem(each, NUMPY).positions_px for each in (spec, plain))
    np.testing.assert_array_equal(found, wanted)


def test_of_several_codes_the_clock_decides_nothing(earlier, tmp_path):
    """The present code's run; the only one there is; of several others none, and they are named."""
    shutil.copytree(results_of(earlier), tmp_path / "results" / "tiny")
    store = Store.open(str(results_of(tmp_path)))
    present = record_of(earlier, "rpie", 1)
    others = [
        replace(
            present,
            run_id=present.spec.run_id(code),
            provenance={**present.provenance, "code": code, "start": f"2999-01-0{day}"},
        )
        for code, day in (("a", 1), ("b", 2))
    ]

    def chosen():
        return starting(tmp_path, results_of(tmp_path)).runs[0].problem["start_object"]["run_id"]

    write_run(store, others[0])
    assert chosen() == present.run_id
    (tmp_path / "results" / "tiny" / "runs" / present.run_id[:2] / f"{present.run_id}.zarr.zip").unlink()
    assert chosen() == others[0].run_id
    write_run(store, others[1])
    with pytest.raises(StudyError, match="2 versions of the code have computed this run") as refused:
        chosen()
    assert all(other.run_id in str(refused.value) for other in others)
    where = f"{{run_id: {others[0].run_id}}}"
    (spec,) = starting(tmp_path, results_of(tmp_path), where).runs
    assert spec.problem["start_object"]["run_id"] == others[0].run_id
