"""How often the trend's change-point search alerts for nothing, and after how many nights it finds a step.

    python benchmarks/trend_alerts.py [HISTORIES]

Every history is searched anew each night.
"""

from __future__ import annotations

import argparse

import numpy as np
from ptychosuite.analysis.trend import FEWEST_NIGHTS, change_points

NIGHTS = 60
STEP_AT = 30
TOLERANCE = 0.05  # of side-by-side times
NOISES = (0.005, 0.01, 0.02)  # standard deviation of a night's ratio
STEPS = (0.05, 0.1, 0.2)
NEVER = NIGHTS


def standard_noise(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit scale for ``NIGHTS`` nights."""
    normal = rng.standard_normal(NIGHTS)
    match kind:
        case "heavy tails":  # Student's t with three degrees of freedom, of unit variance
            return rng.standard_t(3, NIGHTS) / np.sqrt(3)
        case "bad nights":  # one in thirty is off by eight standard deviations
            return normal + 8 * (rng.random(NIGHTS) < 1 / 30) * rng.choice([-1, 1], NIGHTS)
        case "wandering":  # autocorrelation 0.4 from one night to the next
            for night in range(1, NIGHTS):
                normal[night] = 0.4 * normal[night - 1] + np.sqrt(1 - 0.4**2) * normal[night]
    return normal


def alerts(ratios: np.ndarray) -> bool:
    """Whether any night of the history shows a change."""
    return any(change_points(ratios[:n], TOLERANCE) for n in range(FEWEST_NIGHTS, NIGHTS + 1))


def delay(ratios: np.ndarray) -> int:
    """Nights with the step until a change is shown where it is, give or take one."""
    for n in range(STEP_AT + 1, NIGHTS + 1):
        if any(abs(cut - STEP_AT) <= 1 for cut in change_points(ratios[:n], TOLERANCE)):
            return n - STEP_AT
    return NEVER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("histories", type=int, nargs="?", default=200, help="simulated of each kind of noise")
    histories = parser.parse_args().histories
    step = np.arange(NIGHTS) >= STEP_AT
    headings = [f"{size:.0%} step, nights (95 %)" for size in STEPS]
    print(f"| noise | of a night | false alerts in {NIGHTS} nights |", " | ".join(headings), "|")
    print("|---|---|---|" + "---|" * len(STEPS))
    for kind in ("normal", "heavy tails", "bad nights", "wandering"):
        for scale in NOISES:
            rng = np.random.default_rng(0)
            noises = [scale * standard_noise(kind, rng) for _ in range(histories)]
            false = np.mean([alerts(np.exp(noise)) for noise in noises])
            cells = [f"{scale:.1%}", f"{false:.1%}"]
            for size in STEPS:
                delays = [delay(np.exp(noise) * (1 + size * step)) for noise in noises]
                cells.append(f"{np.median(delays):.0f} ({np.quantile(delays, 0.95):.0f})")
            print(f"| {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
