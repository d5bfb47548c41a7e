"""What figures say of costs, and of a target that all runs of a problem share."""

from __future__ import annotations

COSTS = {"seconds": "solver time", "iteration": "iterations", "data_passes": "passes over the data"}
LEAST = {
    "seconds": "the least solver time",
    "iteration": "the fewest iterations",
    "data_passes": "the fewest passes over the data",
}

NOT_KNOWN = (
    "a run that has no result yet, that nobody here has timed alone, or whose problem lacks what is compared "
    "counts neither way"
)


DEVIANCES = ("poisson_deviance", "deviance", "held_out_deviance")
"""Metrics that noise leaves something of, by the names that a figure may ask for them by."""


def no_deviance(metric: str) -> str:
    """Why a figure with a target of noise cannot be drawn of ``metric``; empty where it can."""
    if metric in DEVIANCES:
        return ""
    return f"what noise leaves is a deviance, and '{metric}' is none; say {DEVIANCES[0]} or {DEVIANCES[-1]}"


def noise_leaves(within: float, otherwise: str) -> str:
    """The target of noise, and what stands for it where no truth is known."""
    return (
        f"{1 + within:g} times what noise leaves (the truth's own deviance on the same counts; where no "
        f"truth is known, {otherwise})"
    )


def counted_problems(number: int) -> str:
    """As in a caption: "9 problems, each one condition and seed"."""
    return "1 problem" if number == 1 else f"{number} problems, each one condition and seed"
