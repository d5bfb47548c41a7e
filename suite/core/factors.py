"""Short names of the quantities a study varies.

A factor is known by the last part of its dotted path where that is unique ("noise", "overlap"), by
more of it where it is not; ``solver.name`` is "solver" and ``problem.scan.kind`` is "scan".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

RESERVED = frozenset(
    """
    run iteration run_id spec_id status path start n_iterations iterations iterations_to_tol
    data_passes seconds seconds_per_iteration residual gradient_norm poisson_nll poisson_deviance
    error relative_error nmse phase_rmse_rad
    frc_crossing frc_resolution_px half_frc_crossing half_frc_resolution_px
    """.split()
)
"""Names that the dataset uses itself."""


def factor_names(paths: Iterable[str]) -> dict[str, str]:
    """Dotted path -> short name, unique among ``paths`` and none of the dataset's own names."""
    parts = {path: _significant(path) for path in paths}
    names = {path: tail[-1] for path, tail in parts.items()}
    depth = 1
    while True:
        counts = Counter(names.values())
        clashing = [
            path
            for path, name in names.items()
            if (counts[name] > 1 or name in RESERVED) and len(parts[path]) > depth
        ]
        if not clashing:
            return names
        depth += 1
        for path in clashing:
            names[path] = "_".join(parts[path][-depth:])


def factor_value(leaves: Mapping[str, Any], path: str) -> Any:
    """The value of factor ``path`` in a run's leaves; None where the run has no such setting."""
    if path == "fast_forward":
        return fast_forward_label(leaves)
    return leaves.get(path)


def are_numbers(values: Iterable[Any]) -> bool:
    """Whether all values are numbers or missing (None)."""
    return all(v is None or (isinstance(v, int | float) and not isinstance(v, bool)) for v in values)


def fast_forward_label(leaves: Mapping[str, Any]) -> str:
    """Fast-forward settings in one word; empty where it is off."""
    settings = {
        key.removeprefix("fast_forward."): value
        for key, value in leaves.items()
        if key.startswith("fast_forward.")
    }
    checkpoint = settings.pop("checkpoint", "")
    return " ".join([str(checkpoint), *(f"{key}={value}" for key, value in sorted(settings.items()))]).strip()


def _significant(path: str) -> tuple[str, ...]:
    parts = tuple(path.split("."))
    return parts[:-1] if parts[-1] in ("name", "kind") and len(parts) > 1 else parts
