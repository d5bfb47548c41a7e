"""Pictures of the page's comparer: decoded, they are the fields that the metrics compared."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image
from ptychosuite.analysis.in_gauge import Shown
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.reporting.comparer_pictures import Comparand, comparison, thumbnail
from ptychosuite.reporting.figures.material import RunFiles

from tests.study.small import HEAD, carry_out, plan_of, study_file
from tests.study.test_measured_study import write_star

BLIND = HEAD.replace("stop:", "  start_probe: {kind: gaussian, size: 16, fwhm_px: 9}\nstop:")
MEASURED = "study: tiny\nproblem: {kind: file, path: star.npz}\nstop: {iterations: 3}\n"
SOLVERS = "  solver: [{name: rpie, alpha: 0.1}, {name: emagpie, levels: 2}]\n"
NOISES = "  problem.noise: [0.05, 0.4]\n"


def runs_of(folder, head, axes):
    """What the comparer is asked to show of a small study, and what reads it."""
    plan = plan_of(study_file(folder, f"axes:\n{axes}", head=head))
    carry_out(plan, folder / "results")
    selection = selection_of_plan(plan, folder / "results")
    table = selection.table
    files = RunFiles(selection.store, set(table["path"]))
    conditions = table["noise"].unique().tolist() if "noise" in table.attrs["factors"] else [""]
    places = table["noise"].map(conditions.index) if len(conditions) > 1 else [0] * len(table)
    runs = [
        Comparand(f"{run.solver} {number}", number % 2, place, run.run_id, run.path)
        for number, (place, run) in enumerate(zip(places, table.itertuples(), strict=True))
    ]
    return runs, files, [str(each) for each in conditions]


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    return runs_of(tmp_path_factory.mktemp("comparer"), BLIND, NOISES + SOLVERS)


def decoded(picture, top):
    """Magnitude, phase, what was scanned and what is brighter than the scale, by the words of ``Picture``."""
    assert picture.source.startswith("data:image/png;base64,")
    image = Image.open(io.BytesIO(base64.b64decode(picture.source.partition(",")[2])))
    assert (image.mode, image.format) == ("L", "PNG")
    codes = np.asarray(image).astype(float)
    assert codes.shape == (picture.height, 2 * picture.width)
    magnitude, phase = np.hsplit(codes, 2)
    np.testing.assert_array_equal(magnitude == 0, phase == 0)
    return (magnitude - 1) / 253 * top, (phase - 1) / 254 * 2 * np.pi - np.pi, phase > 0, magnitude == 255


def check_decoding(picture, view, top):
    magnitude, phase, scanned, beyond = decoded(picture, top)
    np.testing.assert_array_equal(scanned, view.compared)
    inside = scanned & ~beyond
    exact = np.abs(view.object)
    assert np.abs(magnitude - exact)[inside].max() <= top / 253 / 2 * 1.001
    assert (exact[beyond] > top).all()
    assert np.abs(phase - np.angle(view.object))[scanned].max() <= 2 * np.pi / 254 / 2 * 1.001


def test_pictures_hold_what_was_compared(blind):
    """Within half a step of the field in the gauge of the truth; each condition begins with its truth."""
    runs, files, conditions = blind
    found = comparison(runs, files, conditions)
    assert [(p.label, p.series, p.condition) for p in found.pictures] == [
        ("truth · 0.05", None, 0), ("rpie 0", 0, 0), ("emagpie 1", 1, 0),
        ("truth · 0.4", None, 1), ("rpie 2", 0, 1), ("emagpie 3", 1, 1),
    ]  # fmt: skip
    assert found.left_out == 0
    paths = {run.run_id: run.path for run in runs}
    for picture in found.pictures:
        if picture.run_id:
            check_decoding(picture, files.shown(paths[picture.run_id]), found.top)
        else:
            check_decoding(picture, files.scene(runs[2 * picture.condition].path).truth, found.top)
    truth = files.scene(runs[0].path).truth
    brightest = np.quantile(np.abs(truth.object[truth.compared]), 0.999)
    assert brightest <= found.top * (1 + 1e-9) <= 1.5 * brightest * (1 + 2e-9)


def test_known_probe_and_measured_data(tmp_path):
    """All pixels where magnitudes of all are compared; without a truth the scale is that of the runs."""
    for name, head in (("known", HEAD), ("measured", MEASURED)):
        folder = tmp_path / name
        folder.mkdir()
        write_star(folder / "star.npz")
        runs, files, conditions = runs_of(folder, head, SOLVERS)
        found = comparison(runs, files, conditions)
        truths = [picture.label for picture in found.pictures if not picture.run_id]
        assert truths == ["truth"] * (name == "known")
        assert len(found.pictures) == len(truths) + 2
        for run, picture in zip(runs, found.pictures[-2:], strict=True):
            check_decoding(picture, files.shown(run.path), found.top)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
def test_a_budget_is_kept(blind, kept):
    """What does not fit is left out, condition by condition, and counted; files of no use are not read."""
    runs, files, conditions = blind
    everything = comparison(runs, files, conditions).pictures
    sizes = [len(picture.source) for picture in everything]
    fits = {0: sizes[0], 1: sum(sizes[:2]), 2: sum(sizes[:4]), 3: sum(sizes[:5])}[kept]
    fresh = RunFiles(files.store, files.pictured)
    found = comparison(runs, fresh, conditions, most_bytes=fits)
    assert sum(bool(picture.run_id) for picture in found.pictures) == kept
    assert found.left_out == 4 - kept
    assert sum(len(picture.source) for picture in found.pictures) <= fits
    assert found.pictures == everything[: len(found.pictures)]


def test_large_fields_are_averaged():
    """Means of the complex field over squares, of the pixels that are compared; edges may be cut short."""
    rng = np.random.default_rng(0)
    shape = (601, 515)
    field = rng.normal(size=shape) + 1j * rng.normal(size=shape)
    mask = rng.random(shape) < 0.6
    small = thumbnail(Shown(field, None, mask, mask))
    assert small.field.shape == (201, 172)
    for row, column in ((0, 0), (17, 44), (200, 171), (200, 3)):
        square = slice(3 * row, 3 * row + 3), slice(3 * column, 3 * column + 3)
        seen = mask[square]
        assert small.mask[row, column] == (2 * seen.sum() >= seen.size)
        if seen.any():
            assert small.field[row, column] == pytest.approx(field[square][seen].mean())


def test_a_run_without_an_object_is_counted(blind):
    """One that was read without its images is not shown."""
    runs, files, conditions = blind
    found = comparison(runs, RunFiles(files.store, {run.path for run in runs[1:]}), conditions)
    assert found.left_out == 1
    assert [p.run_id for p in found.pictures if p.run_id] == [run.run_id for run in runs[1:]]


def test_no_runs(blind):
    """A study without a completed run has an empty comparer."""
    found = comparison([], blind[1], [])
    assert (found.pictures, found.top, found.left_out) == ([], 1.0, 0)
