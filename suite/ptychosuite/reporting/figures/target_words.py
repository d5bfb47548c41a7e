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


def counted_problems(number: int) -> str:
    """As in a caption: "9 problems, each one condition and seed"."""
    return "1 problem" if number == 1 else f"{number} problems, each one condition and seed"


def solved_where(metric: str, within: float) -> str:
    """When a run has solved its problem: a sentence."""
    way = f"all but {100 * within:g} % of the way from its start to" if within else "to"
    return (
        f"Solved: the {metric} has come for good {way} the best that a completed run of the problem ends "
        "with."
    )
