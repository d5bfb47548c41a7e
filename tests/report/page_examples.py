"""Pages' contents, made up: what the tests of the page draw, with the numbers they check it against."""

from __future__ import annotations

import base64
import io
import itertools
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image
from ptychosuite.analysis.outcomes import Outcome
from ptychosuite.reporting.page_content import (
    Card,
    Cell,
    Choice,
    Condition,
    Curve,
    Embedded,
    HeatTable,
    Interactive,
    Matrix,
    PageContent,
    Picture,
    Run,
    Series,
    TextTable,
    Trouble,
)
from scipy.ndimage import gaussian_filter

TOP = 1.25
SIZE = 96
LINES = (
    Series("rPIE", "#0072B2", "none", "circle"),
    Series("MAGPIE (levels 7)", "#D55E00", "8 3", "square"),
    Series("L-BFGS", "#000000", "2 3", "triangle"),
    Series("MAGPIE (levels 2)", "#CC79A7", "8 3 2 3", "times"),
)
METRICS = (
    Choice("residual", "residual", "lower"),
    Choice("error", "error", "lower"),
    Choice("phase_rmse_rad", "phase RMSE / rad", "lower"),
)
AXES = (
    Choice("iteration", "iteration"),
    Choice("seconds", "solver time / s"),
    Choice("data_passes", "passes over the data"),
)
COLUMNS = (
    Choice("seed", "seed"),
    Choice("levels", "levels"),
    *METRICS,
    Choice("seconds", "time / s", "lower"),
)
HOSTILE = "</script><script>window.hostile = true</script> & <b>bold</b>"
PROVENANCES = (
    {"code": "3c53ec6 (clean)", "host": "node-1", "device": "NVIDIA H100", "numpy": "2.4.6"},
    {"code": "3c53ec6 (clean)", "host": "node-2", "device": "CPU, 16 threads", "numpy": "2.4.6"},
)
TRACEBACK = """LinAlgError: the line search found no descent after 20 halvings
Traceback (most recent call last):
  File "suite/ptychosuite/execute/loop.py", line 112, in iterate
    state = solver.step(problem, state, rng)
numpy.linalg.LinAlgError: the line search found no descent after 20 halvings"""
MESSAGES = {
    "diverged": "the residual grew to 1.2e+09 at iteration 17, 1e6 times the start",
    "failed": TRACEBACK,
    "timed-out": "stopped after 600 s, the limit of the study",
    "missing": "not computed yet",
}


def command_of(run_id: str, status: str) -> str:
    return (
        f"ptychosuite run studies/noise.yaml --only {run_id}"
        if status == "missing"
        else f"ptychosuite show studies/noise.yaml {run_id}"
    )


def run_ids(number: int) -> list[str]:
    rng = np.random.default_rng(7)
    return [rng.bytes(8).hex() for _ in range(number)]


def runs_of(
    lines: Sequence[Series],
    conditions: Sequence[Condition],
    seeds: int,
    ended: Callable[[int, int, int], str] = lambda line, condition, seed: "completed",
) -> list[Run]:
    """One a line, condition and seed; those that did not complete have no numbers."""
    rng = np.random.default_rng(3)
    product = list(itertools.product(range(len(conditions)), range(len(lines)), range(seeds)))
    runs = []
    for (condition, line, seed), run_id in zip(product, run_ids(len(product)), strict=True):
        status = ended(line, condition, seed)
        levels = 7 if "7" in lines[line].label else None
        scale = (1 + condition) * (1 + 0.4 * line)
        numbers = [scale * f * rng.lognormal(0, 0.05) for f in (0.86, 73.2, 0.33, 1.4)]
        values = [seed, levels, *(numbers if status == "completed" else [None] * 4)]
        settings = {
            "problem.noise": conditions[condition].label,
            "solver.name": lines[line].label,
            "seed": seed,
        }
        runs.append(
            Run(
                run_id,
                status,
                line,
                condition,
                values,
                "" if status == "completed" else MESSAGES[status],
                settings,
                command_of(run_id, status),
                None if status == "missing" else seed % 2,
            )
        )
    return runs


def curves_of(
    runs: Sequence[Run], lines: int, conditions: int, points: int = 40, band: bool = True
) -> list[Curve]:
    """For each metric, axis, condition and line that has a completed run."""
    curves = []
    for condition, line in itertools.product(range(conditions), range(lines)):
        own = [run for run in runs if (run.condition, run.series) == (condition, line)]
        done = [run for run in own if run.status == "completed"]
        if not done:
            continue
        x = np.unique(np.geomspace(1, 200, points).round())
        alive = np.where((x < 120) | (line == 3), len(done), max(1, len(done) - 1)).astype(int).tolist()
        for (m, metric), axis in itertools.product(enumerate(METRICS), AXES):
            median = (1 + condition) * (1 + 0.4 * line) * 10.0**m * (2000 * x ** (-1.4 + 0.1 * line) + 0.9)
            spread = 0.12 * median * (1 + np.sin(x / 9) ** 2)
            pace = 0.031 * (1 + line) if axis.name == "seconds" else 1.0
            nothing: list[float | None] = [None] * len(x)
            curves.append(
                Curve(
                    line,
                    condition,
                    metric.name,
                    axis.name,
                    (x * pace).tolist(),
                    median.tolist(),
                    (median - spread).tolist() if band and len(done) > 2 else nothing,
                    (median + spread).tolist() if band and len(done) > 2 else nothing,
                    alive,
                    len(done),
                    len(own),
                    float(30 * pace) if line < 2 else None,
                )
            )
    return curves


def planes(seed: int, blur: float = 2.0, size: int = SIZE) -> np.ndarray:
    """Codes of magnitude and phase, beside each other as in a picture: (size, 2 size)."""
    rng = np.random.default_rng(11)
    truth = gaussian_filter(rng.normal(size=(2, size, size)), (0, blur, blur))
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(2, size, size)), (0, 1, 1))
    fields = truth / truth.std() + (0.25 * noise / noise.std() if seed else 0)
    magnitude = np.clip(0.7 + 0.25 * fields[0], 0, None)
    phase = np.angle(np.exp(1j * 1.6 * fields[1]))
    codes = np.where(magnitude > TOP, 255, 1 + np.rint(magnitude / TOP * 253)).astype(np.uint8)
    angles = (1 + np.rint((phase + np.pi) / (2 * np.pi) * 254)).astype(np.uint8)
    y, x = np.mgrid[:size, :size] - size / 2
    unscanned = np.hypot(y, x) > size * (0.48 if seed else 0.6)
    return np.hstack([np.where(unscanned, 0, codes), np.where(unscanned, 0, angles)])


def data_uri(content: bytes, media: str = "image/png") -> str:
    return f"data:{media};base64,{base64.b64encode(content).decode()}"


def picture_of(
    label: str, codes: np.ndarray, run: Run | None = None, condition: int | None = None
) -> Picture:
    file = io.BytesIO()
    Image.fromarray(codes, "L").save(file, format="png")
    height, width = codes.shape
    return Picture(
        label,
        data_uri(file.getvalue()),
        height,
        width // 2,
        run.run_id if run else "",
        run.series if run else None,
        run.condition if run else condition,
    )


def pictures_of(
    runs: Sequence[Run], conditions: Sequence[Condition], lines: Sequence[Series], truth: bool
) -> list[Picture]:
    """A truth a condition, and the first completed run of each line."""
    pictures = []
    for condition in range(len(conditions)):
        if truth:
            pictures.append(
                picture_of(f"truth · {conditions[condition].label}", planes(0), condition=condition)
            )
        for line in range(len(lines)):
            done = [r for r in runs if (r.condition, r.series, r.status) == (condition, line, "completed")]
            if done:
                seed = 1 + zlib.crc32(done[0].run_id.encode()) % 1000
                pictures.append(
                    picture_of(f"{lines[line].label} · seed {done[0].values[0]}", planes(seed), done[0])
                )
    return pictures


def matrix_of(runs: Sequence[Run], lines: Sequence[Series], conditions: Sequence[Condition]) -> Matrix:
    cells = [
        [Outcome.of(r.status for r in runs if (r.condition, r.series) == (c, s)) for s in range(len(lines))]
        for c in range(len(conditions))
    ]
    return Matrix([line.label for line in lines], [condition.label for condition in conditions], cells)


def troubles_of(
    runs: Sequence[Run], lines: Sequence[Series], conditions: Sequence[Condition]
) -> list[Trouble]:
    return [
        Trouble(
            f"{lines[r.series].label} · {conditions[r.condition].label} · seed {r.values[0]}",
            r.status,
            r.message,
            r.run_id,
            r.command,
        )
        for r in runs
        if r.status != "completed"
    ]


def heat_of(columns: int, rows: int) -> HeatTable:
    """Values, and in the last row each of the other states."""
    cells = [
        [
            Cell(
                f"{60 + 7.3 * x + 11 * y:.3g}",
                "value",
                1 - (x + y) / (columns + rows - 2),
                (x, y) == (0, 0),
                f"median of 3 of 3 completed, {58 + 7 * x + 11 * y} to {63 + 8 * x + 11 * y}",
            )
            for x in range(columns)
        ]
        for y in range(rows)
    ]
    states = ("never", "none", "diverged", "failed", "missing", "empty")
    for place, state in enumerate(states[:columns]):
        cells[-1][place] = Cell("", state, told="" if state == "empty" else "0 of 3 completed")  # type: ignore[arg-type]
    return HeatTable(
        "Error by noise and levels",
        "Median over the seeds at the last iteration.",
        "noise",
        "levels",
        [f"{0.05 * 2**x:g}" for x in range(columns)],
        [str(y + 2) for y in range(rows)],
        cells,
        "lower",
    )


SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 260" width="640" height="260"
font-family="sans-serif" font-size="12"><rect width="640" height="260" fill="#fff"/>
<path d="M40 20V220H620" fill="none" stroke="#333"/>
<path d="M40 40C120 150 300 190 620 205" fill="none" stroke="#0072B2" stroke-width="2"/>
<path d="M40 40C90 190 300 208 620 214" fill="none" stroke="#D55E00" stroke-width="2" stroke-dasharray="8 3"/>
<text x="300" y="246">iteration</text><text x="46" y="18">residual</text></svg>"""


def figures_of(table: bool = True) -> list[Embedded]:
    drawn = Embedded(
        "Convergence",
        "Median over 3 seeds of each line; band: range of all. 24 of 24 runs.",
        "Two falling lines: MAGPIE falls fastest in the first 20 iterations, both flatten below 2.",
        data_uri(SVG.encode(), "image/svg+xml"),
        "convergence-residual",
        TextTable(
            ["solver", "error", "time / s"],
            [["rPIE", "154", "1.3"], ["MAGPIE", "73", "1.4"]],
            frozenset({(1, 1)}),
        )
        if table
        else None,
    )
    broken = Embedded(
        "Rings", "Failed: ValueError: no rings", "", "", "rings", failure="Traceback\nValueError: no rings"
    )
    return [drawn, broken]


def page_of(
    lines: Sequence[Series],
    labels: Sequence[str],
    seeds: int,
    ended: Callable[[int, int, int], str] = lambda line, condition, seed: "completed",
    truth: bool = True,
    points: int = 40,
) -> PageContent:
    """On ``lines`` under conditions ``labels``, each with ``seeds`` runs that ended as ``ended`` says."""
    conditions = [Condition(label) for label in labels]
    runs = runs_of(lines, conditions, seeds, ended)
    curves = curves_of(runs, len(lines), len(conditions), points)
    done = [run for run in runs if run.status == "completed"]
    pictures = pictures_of(runs, conditions[:6], lines, truth) if done else []
    outcome = Outcome.of(run.status for run in runs)
    warning = (
        ()
        if outcome.is_whole
        else (Card("not all completed", outcome.short, ["see below"], is_warning=True),)
    )
    best = (
        (Card(labels[0], lines[-1].label, ["error 73.2 (71.2 to 74.9)", "1.4 s to tolerance"]),)
        if done
        else ()
    )
    summary = TextTable(
        ["solver", "condition", "completed", "error", "time to tolerance / s"],
        [
            [line.label, labels[0], f"{seeds} of {seeds}", f"{70 + 9 * n:.1f}", "1.4"]
            for n, line in enumerate(lines)
        ],
        frozenset({(0, 3)}),
    )
    return PageContent(
        title="Stability under noise",
        study="noise",
        version="0.1.0",
        outcome=outcome,
        question="Which solver stays stable when the patterns get noisy?\nTwo noise levels, three seeds.",
        facts=(
            ("computed", "2026-11-20 10:12 to 10:31 UTC"),
            ("solver time", "34.2 s in all"),
            ("results", "results/noise"),
        ),
        reproduce=(
            ("command", "ptychosuite run studies/noise.yaml && ptychosuite report studies/noise.yaml"),
            ("commit", "3c53ec6f0a1b7f0f4c1d5d6c8d6b2f0c9e1a7b3d"),
            ("environment", "Python 3.11, numpy 2.4.6, torch 2.13.0"),
            ("hardware", "NVIDIA H100, 16 CPU cores"),
        ),
        cards=(*best, *warning, Card("speed-up over rPIE", "2.1 (1.9 to 2.4)", ["to the same error"])),
        matrix=matrix_of(runs, lines, conditions),
        heat_tables=(heat_of(6, 4),) if done else (),
        figures=figures_of()
        if done
        else [Embedded("Convergence", "Not drawn: no run completed.", "", "", "convergence")],
        summary=summary if done else None,
        summary_note="Medians over the seeds, with the range of all.",
        troubles=troubles_of(runs, lines, conditions),
        provenance=(("code", ["3c53ec6 (clean)"]), ("host", ["node-1", "node-2"]), ("numpy", ["2.4.6"]))
        if done
        else (),
        study_text="study: noise\n# " + HOSTILE,
        overrides=("stop.iterations=200",),
        interactive=Interactive(
            lines,
            conditions,
            METRICS if curves else (),
            AXES if curves else (),
            curves,
            pictures,
            TOP,
            columns=COLUMNS,
            runs=runs,
            provenances=PROVENANCES,
        ),
    )


def quickstart() -> PageContent:
    """24 runs, all completed."""
    return page_of(LINES, ["noise 0.05", "noise 0.4"], 3)


def mixed_failures() -> PageContent:
    """50 runs, with every way not to complete; one line has a condition without any survivor."""

    def ended(line: int, condition: int, seed: int) -> str:
        if line == 2:
            return (
                "failed"
                if condition == 1
                else ("diverged", "completed", "timed-out", "missing", "failed")[seed]
            )
        return (
            "diverged" if line == 1 and seed > 2 else ("missing" if (line, seed) == (4, 4) else "completed")
        )

    lines = (*LINES, Series(f"rPIE {HOSTILE}", "#E69F00", "1 2", "star"))
    page = page_of(lines, ["noise 0.05 · overlap 50 %", "noise 0.4 · overlap 50 %"], 5, ended)
    return replace(page, title=f"Mixed failures {HOSTILE}")


def all_failed() -> PageContent:
    """No run completed: no curves, no pictures, no summary."""
    return page_of(
        LINES[:2], ["noise 0.05"], 3, lambda line, condition, seed: "failed" if seed else "missing"
    )


def single_run() -> PageContent:
    return page_of(LINES[:1], ["all runs"], 1)


def one_seed() -> PageContent:
    """No intervals."""
    return page_of(LINES, ["noise 0.05", "noise 0.4"], 1)


def one_solver() -> PageContent:
    return page_of(LINES[1:2], [f"noise {noise}" for noise in (0.05, 0.1, 0.2, 0.4)], 3)


def measured() -> PageContent:
    """Without a truth."""
    return page_of(LINES[:3], ["Siemens star"], 2, truth=False)


def thousand_runs() -> PageContent:
    """50 conditions of 4 lines and 5 seeds, some of them not completed."""

    def ended(line: int, condition: int, seed: int) -> str:
        return "diverged" if line == 2 and condition % 7 == 3 and seed else "completed"

    noises, overlaps = np.geomspace(0.01, 1, 10), (40, 50, 60, 70, 80)
    labels = [f"noise {noise:.3g} · overlap {overlap} %" for noise in noises for overlap in overlaps]
    return page_of(LINES, labels, 5, ended, points=30)


EXAMPLES = {
    function.__name__: function
    for function in (
        quickstart,
        mixed_failures,
        all_failed,
        single_run,
        one_seed,
        one_solver,
        measured,
        thousand_runs,
    )
}
