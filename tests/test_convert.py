"""``ptychosuite convert``: measured and simulated data for other programs."""

from __future__ import annotations

import h5py
import numpy as np
import ptychosuite
import pytest
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.physics.forward import diffraction_intensity
from ptychosuite.problems.measured import MeasuredFile

from tests.problems.measured import small

LENGTHS = {"energy_kev": 8.0, "distance_m": 2.0, "detector_pixel_m": 75e-6}
SETS = [word for key, value in LENGTHS.items() for word in ("--set", f"{key}={value}")]
PROBLEM = {
    "object": {"kind": "texture", "size": 48},
    "probe": {"kind": "gaussian", "size": 16, "fwhm_px": 6},
    "scan": {"kind": "jittered-raster", "overlap": 0.6},
    "photons": 1e5,
    "margin_px": 3,
}
STUDY = {"study": "simulated", "problem": PROBLEM, "solver": "rpie", "stop": {"iterations": 1}}


def test_measured_file(command, tmp_path):
    """Read with the settings, written as another layout: the same patterns, where each was taken."""
    small.nexus(tmp_path / "scan.nxs")
    code, out, err = command("convert", "scan.nxs", "scan.ptyd", "--to", "ptyd", "--set", "crop=16")
    assert (code, err) == (0, "")
    assert out == "12 patterns of 16 x 16 pixels from scan.nxs: scan.ptyd\n"
    one, other = (MeasuredFile(str(tmp_path / name)) for name in ("scan.nxs", "scan.ptyd"))
    first = MeasuredFile(one.path, crop=16).read()
    again = other.read()
    np.testing.assert_array_equal(again.diffraction_intensity, first.diffraction_intensity)
    np.testing.assert_allclose(again.scan_positions_px, first.scan_positions_px, atol=1e-9)
    assert again.pixel_m == pytest.approx(2 * small.PIXEL_M)


def test_what_the_layout_has_no_place_for_is_said(command, tmp_path):
    small.cxi(tmp_path / "scan.cxi", **{"entry_1/instrument_1/source_1/illumination": small.probe()})
    code, out, _ = command("convert", "scan.cxi", "scan.ptyd", "--to", "ptyd")
    assert code == 0
    assert "left out, for which the layout has no place: probe" in out


def test_simulated_problem(tmp_path):
    """The counts, positions and probe that solvers get: the probe's light on the object gives the counts."""
    done = ptychosuite.convert(STUDY, tmp_path / "simulated.cxi", "cxi", LENGTHS)
    assert done.paths == (tmp_path / "simulated.cxi",)
    assert "simulated, run " in str(done)
    found = MeasuredFile(str(done.paths[0])).read()
    assert found.diffraction_intensity.sum(axis=(1, 2)).mean() == pytest.approx(1e5, rel=0.01)
    assert found.wavelength_m == pytest.approx(1.5498e-10, rel=1e-4)
    ptychosuite.run(STUDY, cluster="none", results=tmp_path, progress=False)
    results = ptychosuite.open(STUDY, results=tmp_path)
    truth = results.truth(str(results.dataset["run_id"][0].item()))
    moved = truth.scan_positions_px - truth.scan_positions_px.min(axis=0)
    np.testing.assert_allclose(found.scan_positions_px, moved, atol=1e-6)
    expected = diffraction_intensity(truth.object, found.probe, truth.scan_positions_px.astype(int))
    counts = found.diffraction_intensity
    np.testing.assert_allclose(counts.sum(axis=(1, 2)), expected.sum(axis=(1, 2)), rtol=0.02)
    assert np.corrcoef(counts.ravel(), expected.ravel())[0, 1] > 0.99


def test_told_positions_and_modes(tmp_path):
    """Where positions are wrong for solvers, they are so in the file; all modes are written."""
    more = {"position_errors": {"random_px": 1.0}, "coherence": {"powers": [0.7, 0.3]}, "margin_px": 6}
    study = {**STUDY, "problem": {**PROBLEM, **more}}
    done = ptychosuite.convert(study, tmp_path / "a.cxi", "cxi", LENGTHS)
    found = MeasuredFile(str(done.paths[0])).read()
    ptychosuite.run(study, cluster="none", results=tmp_path, progress=False)
    results = ptychosuite.open(study, results=tmp_path)
    truth = results.truth(str(results.dataset["run_id"][0].item()))
    told = truth.given_positions_px
    np.testing.assert_allclose(found.scan_positions_px, told - told.min(axis=0), atol=1e-6)
    powers = np.sum(np.abs(found.probe_modes) ** 2, axis=(1, 2))
    np.testing.assert_allclose(powers / powers.sum(), [0.7, 0.3], atol=1e-5)
    with h5py.File(done.paths[0]) as file:
        assert not any("object" in name or "initial_image" in name for name in file["entry_1"])


def test_run_of_a_study(tmp_path):
    """The first one and said so, or the one that is named."""
    study = {**STUDY, "axes": {"seed": [0, 1]}}
    first = ptychosuite.convert(study, tmp_path / "a.cxi", "cxi", LENGTHS)
    assert "the first of 2; another one with --run" in first.what
    second = list(ptychosuite.plan(study).runs)[1]
    other = ptychosuite.convert(study, tmp_path / "b.cxi", "cxi", LENGTHS, run=second[:8])
    assert other.what.endswith(f"run {second[:8]}")
    a, b = (MeasuredFile(str(done.paths[0])).read() for done in (first, other))
    assert (a.diffraction_intensity != b.diffraction_intensity).any()
    with pytest.raises(StudyError, match="0 runs of simulated"):
        ptychosuite.convert(study, tmp_path / "c.cxi", "cxi", LENGTHS, run="zzz")


def test_study_of_measured_data(command, tmp_path):
    """As the study reads it, with the probe that it begins from."""
    small.cxi(tmp_path / "scan.cxi")
    probe = "start_probe: {kind: gaussian, size: 16, fwhm_px: 5}"
    problem = f"problem: {{kind: file, path: scan.cxi, crop: 16, {probe}}}"
    (tmp_path / "s.yaml").write_text(f"study: s\n{problem}\nsolver: rpie\nstop: {{iterations: 1}}\n")
    code, out, _ = command("convert", "s.yaml", "other.cxi", "--to", "cxi")
    assert code == 0
    assert "from s, run " in out
    again = MeasuredFile(str(tmp_path / "other.cxi")).read()
    assert again.probe_size == 16
    assert np.unravel_index(np.abs(again.probe).argmax(), (16, 16)) == (8, 8)


def test_simulations_have_no_lengths(command, tmp_path):
    """What to give is said, and it suffices."""
    problem = "problem: {object: {kind: texture, size: 32}, probe: {kind: gaussian, size: 16, fwhm_px: 6}}"
    (tmp_path / "s.yaml").write_text(f"study: s\n{problem}\nsolver: rpie\nstop: {{iterations: 1}}\n")
    code, _, err = command("convert", "s.yaml", "a.cxi", "--to", "cxi")
    assert code == 2
    for name in ("wavelength_m", "energy_kev", "distance_m", "detector_pixel_m"):
        assert name in err
    assert not (tmp_path / "a.cxi").exists()
    assert command("convert", "s.yaml", "a.cxi", "--to", "cxi", *SETS)[0] == 0
    code, _, err = command("convert", "s.yaml", "b.cxi", "--to", "cxi", *SETS, "--set", "wavelength_m=1e-10")
    assert code == 2
    assert "which say the same" in err


def test_files_are_kept(command, tmp_path):
    small.cxi(tmp_path / "scan.cxi")
    (tmp_path / "out.cxi").write_bytes(b"mine")
    code, _, err = command("convert", "scan.cxi", "out.cxi", "--to", "cxi")
    assert code == 2
    assert "--force" in err
    assert (tmp_path / "out.cxi").read_bytes() == b"mine"
    assert command("convert", "scan.cxi", "out.cxi", "--to", "cxi", "--force")[0] == 0
    assert MeasuredFile(str(tmp_path / "out.cxi")).read().n_positions == small.N


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scan.cxi", "a.nxs", "--to", "nexus"], "found the form 'nexus'"),
        (["none.cxi", "a.cxi", "--to", "cxi"], "no such file"),
        (["none.yaml", "a.cxi", "--to", "cxi"], "none.yaml"),
        (["scan.cxi", "a.cxi", "--to", "cxi", "--set", "crop"], "expected PATH=VALUE"),
        (["scan.cxi", "scan.cxi/a.cxi", "--to", "cxi"], "cannot write"),
    ],
)
def test_refusals(command, tmp_path, arguments, said):
    """Code 2, one line, and no file."""
    small.cxi(tmp_path / "scan.cxi")
    code, out, err = command("convert", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert [file.name for file in tmp_path.iterdir()] == ["scan.cxi"]


def test_a_damaged_source_is_not_written(tmp_path):
    path = tmp_path / "scan.cxi"
    small.cxi(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataFileError, match=r"scan\.cxi"):
        ptychosuite.convert(path, tmp_path / "out.cxi", "cxi")
    assert not (tmp_path / "out.cxi").exists()
