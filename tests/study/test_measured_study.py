"""Studies of measured data: files, variables, starting probes, and what is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ptychosuite.errors import StudyError
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.study.expand import make_plan
from ptychosuite.study.json_schema import study_schema
from ptychosuite.study.schema import problem_size
from ptychosuite.study.study_file import load_study

from tests.conftest import small_problem
from tests.study.small import HEAD, REPOSITORY, carry_out, plan_of, study_file
from tests.study.test_json_schema import plain

OWN = [REPOSITORY / "studies/blind.yaml", *sorted((REPOSITORY / "studies/measured").glob("*.yaml"))]


def write_star(path: Path, *, probe: bool = True) -> Path:
    """A small measurement as an .npz file: 16 x 16 pixels, fractional positions, a guess of the probe."""
    problem, rng = small_problem(), np.random.default_rng(0)
    truth = problem.reference
    intensity = diffraction_intensity(truth.object, truth.probe, problem.scan_positions_px)
    arrays = {
        "data": np.fft.fftshift(rng.poisson(intensity), axes=(1, 2)).astype(np.uint32),
        "positions_px": problem.scan_positions_px + rng.uniform(-0.3, 0.3, problem.scan_positions_px.shape),
    }
    if probe:
        arrays["probe"] = truth.probe
    np.savez(path, **arrays)
    return path


def head(problem: str) -> str:
    """A study whose problem begins on line 2."""
    return f"study: tiny\nproblem: {problem}\nstop: {{iterations: 2}}\n"


@pytest.fixture
def star(tmp_path):
    """The folder of a small measurement, and what a problem there looks like."""
    write_star(tmp_path / "star.npz")
    write_star(tmp_path / "bare.npz", probe=False)
    return tmp_path


def refusal(path: Path, *settings: str) -> str:
    with pytest.raises(StudyError) as caught:
        plan_of(path, *settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_file_beside_the_study(star):
    """A relative path counts from the study's folder; path, hash and every default stand in the run."""
    path = study_file(star, head=head("{kind: file, path: star.npz}"))
    (spec,) = plan_of(path).runs
    assert spec.problem["path"] == str((star / "star.npz").resolve())
    assert re.fullmatch(r"[0-9a-f]{64}", spec.problem["path_sha256"])
    assert spec.problem["bin"] == 1
    assert spec.problem["columns"] == "row-column"
    assert spec.problem["start_probe"] is None
    size = problem_size(spec.problem)
    assert (size.probe_size, size.n_positions) == (16, 16)


def test_same_file_elsewhere_is_the_same_run(star, tmp_path_factory):
    """A run is known by the content of its file, not by the folder; other content is another run."""
    other = tmp_path_factory.mktemp("other")
    shutil.copy(star / "star.npz", other / "moved.npz")
    shutil.copy(star / "bare.npz", other / "bare.npz")
    ids = [
        plan_of(study_file(folder, head=head(f"{{kind: file, path: {name}}}"))).run_ids[0]
        for folder, name in ((star, "star.npz"), (other, "moved.npz"), (other, "bare.npz"))
    ]
    assert ids[0] == ids[1]
    assert ids[0] != ids[2]


def test_environment_variable_in_a_path(star, tmp_path_factory, monkeypatch):
    """${VARIABLE} stands for its value, wherever the study lies; unset, it is named with what to do."""
    monkeypatch.setenv("TINY_DATA", str(star))
    path = study_file(
        tmp_path_factory.mktemp("study"), head=head("{kind: file, path: '${TINY_DATA}/star.npz'}")
    )
    (spec,) = plan_of(path).runs
    assert spec.problem["path"] == str((star / "star.npz").resolve())
    monkeypatch.delenv("TINY_DATA")
    message = refusal(path)
    assert f"{path}:2:23: problem.path" in message
    assert "TINY_DATA is not set; export TINY_DATA=FOLDER" in message


REFUSED = {
    "unknown setting": ("{kind: file, path: star.npz, colums: row-column}", "2:39", ["colums", "'columns'"]),
    "unknown kind": ("{kind: fil, path: star.npz}", "2:11", ["fil", "'file'"]),
    "setting of a simulation": ("{kind: file, path: star.npz, noise: 0.1}", "2:39", ["noise"]),
    "part of a simulation": ("{kind: file, path: star.npz, probe: 3}", "2:39", ["probe", "3"]),
    "missing file": ("{kind: file, path: nova.npz}", "2:23", [r"nova\.npz", "No such file"]),
    "folder": ("{kind: file, path: .}", "2:23", ["directory"]),
    "no path": ("{kind: file}", "2:1", ["'path' is missing"]),
    "bad choice": ("{kind: file, path: star.npz, columns: yx}", "2:39", ["columns", "yx", "column-row"]),
    "bad number": ("{kind: file, path: star.npz, bin: 0}", "2:39", ["bin", "0"]),
    "crop too large": ("{kind: file, path: star.npz, crop: 64}", "2:", ["crop: 64", "16"]),
    "no such array": ("{kind: file, path: star.npz, data: dat}", "2:", ["'dat'", "'data'"]),
    "hash by hand": ("{kind: file, path: star.npz, path_sha256: a}", "2:39", ["path_sha256", "taken"]),
    "damaged file": ("{kind: file, path: bad.npz}", "2:", [r"bad\.npz", "damaged"]),
    "start probe of the wrong size": (
        "{kind: file, path: star.npz, start_probe: {kind: gaussian, size: 32}}",
        "2:39",
        ["start_probe", "32", "16"],
    ),
    "unknown start probe": (
        "{kind: file, path: star.npz, start_probe: {kind: gausian, size: 16}}",
        "2:53",
        ["gausian", "'gaussian'"],
    ),
    "unknown setting of the start probe": (
        "{kind: file, path: star.npz, start_probe: {kind: gaussian, siz: 16}}",
        "2:69",
        ["siz", "'size'"],
    ),
    "start probe is a number": ("{kind: file, path: star.npz, start_probe: 3}", "2:39", ["start_probe", "3"]),
}


@pytest.mark.parametrize(("problem", "place", "fragments"), REFUSED.values(), ids=REFUSED)
def test_wrong_problems(star, problem, place, fragments):
    """The message names line and column, what was found and what was meant or expected."""
    (star / "bad.npz").write_bytes((star / "star.npz").read_bytes()[:900])
    path = study_file(star, head=head(problem))
    message = refusal(path)
    assert message.startswith(f"{path}:{place}"), message
    for fragment in fragments:
        assert re.search(fragment, message), f"no '{fragment}' in: {message}"


def test_start_probe_of_a_simulation(tmp_path):
    """A simulated problem takes a starting probe too, of the same size."""
    path = study_file(tmp_path, "axes: {problem.start_probe: [{kind: gaussian, size: 16, fwhm_px: 9}]}\n")
    (spec,) = plan_of(path).runs
    assert spec.problem["start_probe"]["fwhm_px"] == 9
    message = refusal(path, "problem.start_probe={kind: gaussian, size: 8}")
    assert "found 8 pixels on a side; the patterns have 16" in message


def test_axis_over_a_setting_of_the_file(star):
    """problem.bin varies the patterns, and with them what the solver may do."""
    path = study_file(star, "axes: {problem.bin: [1, 2]}\n", head=head("{kind: file, path: star.npz}"))
    plan = plan_of(path)
    assert [problem_size(spec.problem).probe_size for spec in plan.runs] == [16, 8]
    assert plan.factors == {"problem.bin": True}
    store, tally = carry_out(plan, star / "results")
    assert tally.failed == 0
    assert (store.dataset / "zarr.json").exists()
    message = refusal(path, "solver={name: magpie, levels: 4}")
    assert "levels" in message
    assert "8 x 8" in message


def test_axis_over_files(star):
    """problem.path varies the file; a probe for all of them can be given."""
    extra = "axes: {problem.path: [star.npz, bare.npz]}\n"
    problem = "{kind: file, path: star.npz, start_probe: {kind: gaussian, size: 16, fwhm_px: 6}}"
    plan = plan_of(study_file(star, extra, head=head(problem)))
    assert [Path(spec.problem["path"]).name for spec in plan.runs] == ["star.npz", "bare.npz"]
    assert len(set(plan.run_ids)) == 2
    _, tally = carry_out(plan, star / "results")
    assert tally.failed == 0
    missing = study_file(star, extra.replace("bare", "nova"), head=head(problem), name="lost.yaml")
    message = refusal(missing)
    assert f"{missing}:4:" in message
    assert "nova.npz" in message


def test_changed_file_is_noticed(star):
    """A file that changes after the plan is made is not reconstructed under the old name."""
    from ptychosuite.errors import DataFileError
    from ptychosuite.execute.one_run import execute

    (spec,) = plan_of(study_file(star, head=head("{kind: file, path: star.npz}"))).runs
    write_star(star / "star.npz", probe=False)
    with pytest.raises(DataFileError, match="has changed since the study was planned"):
        execute(spec)


# The repository's own


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    return jsonschema.Draft202012Validator(study_schema())


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_schema_accepts_the_repositorys_blind_studies(validator, path):
    """What stands in studies/ passes the schema, as the reader and as an editor see it."""
    assert len(OWN) >= 2
    validator.validate(load_study(path).data)
    validator.validate(plain(path.read_text()))


@pytest.mark.parametrize(
    ("problem", "good"),
    [
        ("{kind: file, path: star.npz, bin: 2, start_probe: {kind: gaussian, size: 16}}", True),
        ("{kind: file, path: '${DATA}/star.cxi', crop: 64, energy_kev: 8.0}", True),
        ("{kind: file, path: star.npz, colums: row-column}", False),
        ("{kind: file, path: star.npz, bin: 0}", False),
        ("{kind: file, path: star.npz, format: nexus}", True),
        ("{kind: file, path: star.npz, format: 'labs.formats:Ours'}", True),
        ("{kind: file, path: star.npz, format: nexsu}", False),
        ("{kind: 'labs.problems:Ours', any: 1}", True),
        ("{kind: fil, path: star.npz}", False),
    ],
)
def test_schema_knows_measured_problems(validator, problem, good):
    """An editor marks what the reader would refuse, and nothing else."""
    assert validator.is_valid(plain(head(problem))) is good


@pytest.mark.parametrize("figure", ["probe", "rings"])
def test_schema_knows_the_figures(validator, figure):
    """Figures of probes and of ring correlations, misspelt settings excepted."""
    assert validator.is_valid(plain(HEAD + f"figures: [{{kind: {figure}, where: {{noise: 0.1}}}}]\n"))
    assert not validator.is_valid(plain(HEAD + f"figures: [{{kind: {figure}, wher: {{noise: 0.1}}}}]\n"))


def test_blind_study_is_planned():
    """All runs of the blind study start from another probe than the true one."""
    plan = make_plan(load_study(REPOSITORY / "studies/blind.yaml"))
    assert len(plan.runs) == 2 * 2 * 4 * 5
    assert all(spec.problem["start_probe"] != spec.problem["probe"] for spec in plan.runs)
    assert {spec.solver["name"] for spec in plan.runs} == {"epie", "rpie", "emagpie", "lsqml"}
