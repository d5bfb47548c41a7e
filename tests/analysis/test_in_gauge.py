"""Runs as they are shown: what the metrics compared is what is seen, with object and probe together."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.analysis.in_gauge import Scene
from ptychosuite.core.runs import RunRecord, RunSpec, Status
from ptychosuite.metrics.gauge import Gauge, apply_gauge
from ptychosuite.problems.probes import Gaussian
from ptychosuite.store.read import inventory, read_reference, read_run

from tests.study.small import HEAD, carry_out, plan_of, study_file
from tests.study.test_measured_study import write_star

SOLVERS = "axes:\n  solver: [{name: rpie, alpha: 0.1}, {name: emagpie, levels: 2}]\n"
MEASURED = "study: tiny\nproblem: {kind: file, path: star.npz}\nstop: {iterations: 3}\n"
STARTS = {
    "scaled": Gauge(2.3 * np.exp(0.8j)),
    "ramped": Gauge(0.4, (0.09, -0.05)),
    "shifted": Gauge(1.7j, (0.03, 0.02), (0.6, -1.3)),
}


def runs_of(folder, extra="", head=HEAD):
    """The records of a small study, each with its truth."""
    store, _ = carry_out(plan_of(study_file(folder, extra + SOLVERS, head=head)), folder / "results")
    records = [read_run(file) for file in inventory(store).done.values()]
    assert len(records) == 2
    return [(record, read_reference(store, record.reference)) for record in records]


def blind_runs(folder, start, dtype="complex64"):
    probe = apply_gauge(Gaussian(size=16, fwhm_px=7.0).make(), STARTS[start])
    np.save(folder / "probe.npy", probe)
    head = HEAD.replace("stop:", "  start_probe: {kind: file, path: probe.npy}\nstop:")
    return runs_of(folder, f"dtype: {dtype}\n", head.replace("iterations: 3", "iterations: 8"))


def check_against_metrics(runs):
    """The norm of the drawn difference is the stored error, the weighted RMS of the phases their RMSE."""
    for record, truth in runs:
        shown = Scene.of(record, truth).show(record)
        difference = (np.abs(shown.object) - np.abs(truth.object))[shown.compared]
        assert np.linalg.norm(difference) == pytest.approx(record.metrics["error"], rel=2e-5)
        phases = np.angle(shown.object * truth.object.conj())[shown.scanned]
        weight = np.abs(truth.object[shown.scanned]) ** 2
        rms = np.sqrt(np.sum(weight * phases**2) / np.sum(weight))
        assert rms == pytest.approx(record.metrics["phase_rmse_rad"], rel=2e-5)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_known_probe_is_shown_as_the_metrics_see_it(tmp_path, dtype):
    """All magnitudes are compared, the probe stays the given one."""
    runs = runs_of(tmp_path, f"dtype: {dtype}\n")
    check_against_metrics(runs)
    for record, truth in runs:
        shown = Scene.of(record, truth).show(record)
        assert shown.compared.all()
        assert not shown.scanned.all()
        np.testing.assert_array_equal(shown.probe, record.probe)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("start", STARTS)
def test_unknown_probe_is_shown_as_the_metrics_see_it(tmp_path, start, dtype):
    """From probes of any scale, tilt and place."""
    runs = blind_runs(tmp_path, start, dtype)
    check_against_metrics(runs)
    for record, truth in runs:
        shown = Scene.of(record, truth).show(record)
        np.testing.assert_array_equal(shown.compared, shown.scanned)
        power = [float(np.sum(np.abs(each) ** 2)) for each in (shown.probe, truth.probe)]
        assert power[0] == pytest.approx(power[1], rel=0.2)
        # neither of the two phases is known, so that each is shown as the truth has its own
        assert np.angle(np.vdot(truth.probe, shown.probe)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("start", STARTS)
def test_exit_waves_stay(tmp_path, start):
    """What is shown explains the data as the run does: object and probe go opposite ways."""
    for record, truth in blind_runs(tmp_path, start):
        shown = Scene.of(record, truth).show(record)
        for row, column in truth.scan_positions_px.astype(int):
            patch = slice(row, row + 16), slice(column, column + 16)
            before, after = (
                np.abs(np.fft.fft2(obj[patch] * probe))
                for obj, probe in ((record.object, record.probe), (shown.object, shown.probe))
            )
            # a translation by fractions of a pixel interpolates, and moves a little out of the window
            assert np.linalg.norm(after - before) < 0.04 * np.linalg.norm(before)


def test_measured_data_are_shown_by_themselves(tmp_path):
    """Without a truth, the scanned pixels have median magnitude 1 and mean phase 0; patterns stay."""
    write_star(tmp_path / "star.npz")
    for record, truth in runs_of(tmp_path, head=MEASURED):
        assert truth is None
        scene = Scene.of(record, truth)
        shown, other = scene.show(record), scene.show(gauged(record, 7.5j))
        seen = shown.object[shown.scanned]
        assert np.median(np.abs(seen)) == pytest.approx(1, rel=1e-6)
        assert np.angle(seen.mean()) == pytest.approx(0, abs=1e-6)
        assert 0.2 < shown.scanned.mean() < 1
        np.testing.assert_allclose(shown.object, other.object, rtol=1e-4)
        np.testing.assert_allclose(shown.probe, other.probe, rtol=1e-4, atol=1e-6)
        whole = shown.object[:16, :16] * shown.probe
        np.testing.assert_allclose(whole, record.object[:16, :16] * record.probe, rtol=1e-4, atol=1e-6)


def gauged(record, factor):
    """The same answer, written with another scale."""
    return RunRecord(
        record.run_id, record.spec, record.status, object=record.object * np.complex64(factor),
        probe=record.probe / np.complex64(factor), scan_positions_px=record.scan_positions_px,
    )  # fmt: skip


def test_an_object_of_nothing_is_shown():
    """Zeros have neither phase nor scale; nothing is divided by them."""
    spec = RunSpec({"kind": "file"}, {"name": "rpie"}, {})
    zeros = np.zeros((8, 8), dtype=np.complex64)
    shown = Scene(None, False).show(RunRecord("x", spec, Status.COMPLETED, object=zeros, probe=zeros[:4, :4]))
    np.testing.assert_array_equal(shown.object, zeros)
