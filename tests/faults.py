"""Faults that a comparison of runs has to see, planted while a test lasts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import ptychosuite.solvers.pie
import pytest
from ptychosuite.core.runs import RunSpec
from ptychosuite.solvers import magpie, multigrid


def wrong_alpha(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """A regularisation of rPIE that is too large by ``factor``."""
    healthy = ptychosuite.solvers.pie.step_size
    monkeypatch.setattr(ptychosuite.solvers.pie, "step_size", lambda q, alpha: healthy(q, factor * alpha))


def other_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another order of the positions."""
    healthy = RunSpec.rng
    monkeypatch.setattr(
        RunSpec, "rng", lambda spec, purpose: healthy(spec, purpose.replace("order", "other"))
    )


def wrong_coarse_level(monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    """Weights of MAGPIE's first coarse level too large by ``factor``, in the plain form of the V-cycle."""

    def disturbed(probe, regulariser, levels):
        first, *rest = multigrid.hierarchy.__wrapped__(probe, regulariser, levels)
        return (replace(first, weight=first.weight * np.float32(factor)), *rest)

    monkeypatch.setattr(magpie, "hierarchy", disturbed)
    plain_v_cycle(monkeypatch)


def plain_v_cycle(monkeypatch: pytest.MonkeyPatch) -> None:
    """MAGPIE by the plain form, which takes the coefficients of the plain form."""
    v_cycle = multigrid.v_cycle.__wrapped__
    monkeypatch.setattr(magpie, "corrected", lambda z, g, levels: z + v_cycle(g, levels))
