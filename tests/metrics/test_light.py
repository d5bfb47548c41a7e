"""Overlap of the light against closed forms."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from ptychosuite.metrics.evaluation import Evaluation, ProblemConstants
from ptychosuite.metrics.light import light_diameter_px, light_overlap, step_px
from ptychosuite.metrics.of_light import LightOverlap

from tests.conftest import small_problem


def distances(size, centre):
    rows, columns = np.mgrid[:size, :size]
    return np.hypot(rows - centre[0], columns - centre[1])


@pytest.mark.parametrize("diameter", [20.0, 41.0])
@pytest.mark.parametrize("centre", [(63.5, 63.5), (50.2, 71.9)])
def test_diameter_of_a_uniform_disk(diameter, centre):
    """Nine tenths of its area, wherever it lies in its array."""
    disk = np.where(distances(128, centre) <= diameter / 2, 2.0 + 1j, 0)
    assert light_diameter_px(disk) == pytest.approx(np.sqrt(0.9) * diameter, abs=0.5)


@pytest.mark.parametrize("waist", [6.0, 11.0])
def test_diameter_of_a_gaussian(waist):
    """exp(-2 r^2 / waist^2) has 1 - exp(-2 r^2 / waist^2) of its power within r; phases do not matter."""
    r = distances(128, (64.0, 60.0))
    probe = np.exp(-(r**2) / waist**2 + 0.05j * r**2)
    assert light_diameter_px(probe) == pytest.approx(2 * waist * np.sqrt(np.log(10) / 2), abs=0.3)
    width = np.sqrt(2 * np.log(2)) * waist  # full, at half of the largest intensity
    assert light_diameter_px(probe) == pytest.approx(1.82 * width, rel=0.02)


def test_modes_are_one_light():
    """Two disks of equal power side by side, each a mode, are as wide as both in one coherent probe."""
    left, right = (np.where(distances(64, (32, at)) <= 5, 1.0 + 0j, 0) for at in (20, 44))
    assert light_diameter_px(np.stack([left, right])) == light_diameter_px(left + right) > 24


def test_overlap_of_a_disk_on_a_raster():
    """1 - step / diameter, not that of the array; no less than 0, and nothing where nothing is known."""
    disk = np.where(distances(128, (63.5, 63.5)) <= 20, 1.0 + 0j, 0)
    raster = np.stack(np.meshgrid(np.arange(5) * 10, np.arange(4) * 12, indexing="ij"), -1).reshape(-1, 2)
    assert step_px(raster) == 10
    assert light_overlap(disk, raster) == pytest.approx(1 - 10 / (0.9487 * 40), abs=0.01)
    assert light_overlap(disk, 100 * raster) == 0
    assert np.isnan(light_overlap(disk, raster[:1]))
    assert np.isnan(light_overlap(0 * disk, raster))
    assert np.isnan(light_overlap(np.nan * disk, raster))


def test_the_metric_is_of_the_truth():
    """And of the start where no truth is known; a reconstruction has no part in it."""
    problem = dataclasses.replace(small_problem(), probe=3j * np.ones((16, 16)))
    blind = dataclasses.replace(problem, reference=None)
    true, told = (
        LightOverlap().value(Evaluation(ProblemConstants(each), 0 * each.start_object, 0 * each.probe))
        for each in (problem, blind)
    )
    reference = problem.reference
    assert true == light_overlap(reference.probe, reference.scan_positions_px)
    assert told == light_overlap(problem.probe, problem.positions_px) > true
