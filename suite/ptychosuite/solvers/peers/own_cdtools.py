"""A cdtools model of somebody's own, as ``drive_cdtools`` says its conventions, seen in ours.

What is read is what the model has found by now; nothing is changed. Written into it is by
``drive_cdtools.put``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ptychosuite.solvers.peers.drive_cdtools import HALF_PX, moved, on_host

INSIDE_PX = HALF_PX - 1e-6  # from a pixel, which then is the nearest one without doubt
WHOLE_PX = 1e-3  # translations that are as near to whole ones are


def foreign(model: Any) -> str:
    """What a cdtools model of somebody's own has that ours cannot have; empty where there is nothing."""
    if model.obj.ndim != 2 or not hasattr(model, "probe_norm"):
        return f"it is a {type(model).__name__}; SimplePtycho and FancyPtycho can be"
    modes = 1 if model.probe.ndim == 2 else len(model.probe)
    weights, background = (getattr(model, name, None) for name in ("weights", "background"))
    crop = background is not None and background.shape != model.probe.shape[-2:]
    flags = ("fourier_probe", "exponentiate_obj", "near_field", "simulate_probe_translation",
             "simulate_finite_pixels", "qe_mask", "saturation", "probe_fourier_shifts")  # fmt: skip
    has = {
        f"{modes} modes of the probe": modes > 1,
        "weights of modes, pattern by pattern": weights is not None and weights.ndim > 1,
        "oversampling, or a cropped probe": int(getattr(model, "oversampling", 1)) > 1 or crop,
        **{name: _is_set(getattr(model, name, None)) for name in flags},
    }
    return ", ".join(what for what, found in has.items() if found)


def _is_set(flag: Any) -> bool:
    return flag is not None and (getattr(flag, "ndim", 0) > 0 or bool(flag))


def seen(model: Any, dataset: Any) -> dict[str, np.ndarray]:
    """Patterns (N, m, m), first corners (N, 2) and what else a cdtools model has of these, in our convention.

    Intensities are of its unitary transform: ours are larger by m^2.
    """
    patterns, mask, weights = on_host(dataset.patterns), getattr(dataset, "mask", None), None
    if is_fancy(model):
        patterns = np.maximum(patterns - on_host(model.background) ** 2, 0)
        mask, weights = model.mask, model.weights
    found = {
        "patterns": np.fft.ifftshift(patterns, axes=(-2, -1)),
        "positions_px": first_corners(translations_px(model, dataset), is_fancy(model)),
    }
    if mask is not None:
        found["mask"] = np.fft.ifftshift(on_host(mask).astype(bool))
    if weights is not None and (on_host(weights) != 1).any():
        found["pattern_weights"] = on_host(weights).astype(np.float64) ** 2
    return found


def is_fancy(model: Any) -> bool:
    """Whether patches are cut at the pixel below, and the probe shifted by the rest."""
    return hasattr(model, "translation_offsets")


def translations_px(model: Any, dataset: Any) -> np.ndarray:
    """Translations (N, 2) in pixels from the object's corner, with what the model has found of them."""
    from cdtools.tools.interactions import translations_to_pixel

    given = dataset.translations
    if not is_fancy(model):
        found = translations_to_pixel(model.probe_basis.to(given.device), given)
        return on_host(found).astype(np.float64) - on_host(model.min_translation)
    basis, normal = model.obj_basis.to(given.device), model.surface_normal.to(given.device)
    found = on_host(translations_to_pixel(basis, given, surface_normal=normal)) - on_host(
        model.min_translation
    )
    if model.translation_offsets is not None:
        found = found + on_host(model.translation_scale * model.translation_offsets)
    return found.astype(np.float64)


def lies_between(translations: np.ndarray) -> bool:
    """Whether some of the translations (N, 2) is no whole number of pixels."""
    return bool(np.abs(translations - np.rint(translations)).max() > WHOLE_PX)


def first_corners(translations: np.ndarray, is_fancy: bool) -> np.ndarray:
    """First corners (N, 2) of patches that cdtools cuts at ``translations`` (N, 2), in pixels.

    Between pixels it cuts at the pixel below: half a pixel before, that is the nearest one.
    """
    if not (is_fancy and lies_between(translations)):
        return np.rint(translations)
    below = np.floor(translations)
    return np.clip(translations - HALF_PX, below - INSIDE_PX, below + INSIDE_PX)


def images(model: Any, dataset: Any) -> tuple[np.ndarray, np.ndarray]:
    """Object (H, W) and probe (m, m) of a cdtools model, in our convention."""
    probe = on_host(model.probe_norm * model.probe)
    probe = probe.reshape(probe.shape[-2:])
    if is_fancy(model):
        probe = moved(probe * on_host(model.probe_support), half_a_pixel(model, dataset))
    return on_host(model.obj), probe


def told_probe(model: Any, dataset: Any, probe: np.ndarray) -> np.ndarray:
    """``probe`` (m, m), which is ours, as it lies on the patches of the model."""
    return moved(probe, -half_a_pixel(model, dataset)) if is_fancy(model) else probe


def half_a_pixel(model: Any, dataset: Any) -> float:
    """How far our probe lies behind that of a model which cuts patches at the pixel below."""
    return HALF_PX if lies_between(translations_px(model, dataset)) else 0.0
