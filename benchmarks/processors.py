"""Whether unchanged code is good on other processors: a study is carried out as they would, and checked.

    python benchmarks/processors.py [STUDY] [--baseline NAME] [--only TEXT ...] [--processors avx2 ...]

Libraries choose their instructions by the processor when they are loaded, and sum in another order with
others. Environment variables tell each of them to take this processor for an older one: NumPy, OpenBLAS, MKL,
oneDNN, torch, ducc0, Numba and the C library's mathematics. A fresh process each carries out the runs of the
study, and all are judged beside the committed baseline and beside one another, as on another machine. Leaves
with 1 where that finds a regression.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import permutations
from pathlib import Path
from typing import Any

from ptychosuite.analysis.baseline import Baseline, PresentRuns, RunFigures, figures_of, read_baseline
from ptychosuite.analysis.labels import run_labels
from ptychosuite.analysis.quality import quality_findings
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.core.plan import Plan
from ptychosuite.execute.one_run import execute
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_study
from timing import machine, write

ROOT = Path(__file__).resolve().parents[1]
AVX512 = "AVX512F,AVX512VL,AVX512BW,AVX512CD,AVX512DQ"
SCIPY = "PTYCHOSUITE_BENCHMARK_SCIPY"  # SciPy's transforms in place of ducc0's


def processor(
    numpy: str, blas: str, ducc: int, torch: str, mkl: str, dnn: str, numba: str, libc: str
) -> dict[str, str]:
    """The environment in which all libraries take this processor for another."""
    return {
        "NPY_DISABLE_CPU_FEATURES": numpy,
        "OPENBLAS_CORETYPE": blas,
        "DUCC0_MAX_PSABI_LEVEL": str(ducc),
        "ATEN_CPU_CAPABILITY": torch,
        "MKL_ENABLE_INSTRUCTIONS": mkl,
        "ONEDNN_MAX_CPU_ISA": dnn,
        "NUMBA_CPU_NAME": numba,
        "NUMBA_CPU_FEATURES": "",
        "GLIBC_TUNABLES": f"glibc.cpu.hwcaps={','.join(f'-{name}' for name in libc.split(','))}",
    }


V4 = "X86_V4 AVX512_ICL AVX512_SPR"
V3 = f"X86_V3 {V4}"
HASWELL = processor(V4, "Haswell", 3, "avx2", "AVX2", "AVX2", "haswell", AVX512)
PROCESSORS: Mapping[str, Mapping[str, str]] = {
    "this one": {},
    "avx512": processor(
        "AVX512_ICL AVX512_SPR", "SkylakeX", 4, "avx512", "AVX512", "AVX512_CORE", "skylake-avx512",
        "AMX_TILE",
    ),
    "avx2": HASWELL,
    "avx2-amd": processor(V4, "Zen", 3, "avx2", "AVX2", "AVX2", "znver2", AVX512),
    "avx": processor(V3, "Sandybridge", 2, "default", "AVX", "AVX", "sandybridge", f"{AVX512},AVX2,FMA"),
    "sse4.2": processor(
        V3, "Nehalem", 2, "default", "SSE4_2", "SSE41", "nehalem", f"{AVX512},AVX2,FMA,AVX"
    ),
    "sse2": {
        **processor(V3, "Prescott", 1, "default", "SSE4_2", "SSE41", "generic", f"{AVX512},AVX2,FMA,AVX"),
        "MKL_CBWR": "COMPATIBLE",
    },
    "avx2-scipy": {**HASWELL, SCIPY: "1"},
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, default=ROOT / "studies/nightly.yaml")
    parser.add_argument("--baseline", default="nightly")
    parser.add_argument("--baselines", type=Path, default=ROOT / "results/baselines")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="TEXT", help="runs with TEXT in their label"
    )
    parser.add_argument("--processors", nargs="+", default=list(PROCESSORS), choices=list(PROCESSORS))
    parser.add_argument("--folder", type=Path, help="where figures are kept, to go on from")
    parser.add_argument("--name", default="processors", help="of the files in benchmarks/results")
    parser.add_argument("--as-told", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    plan = chosen(make_plan(load_study(options.study, [])), options.only)
    if options.as_told:
        carry_out(plan, options.as_told)
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = {name: figures_on(name, folder) for name in options.processors}
    rows = list(compared(read_baseline(options.baselines, options.baseline), plan, found))
    table = markdown(rows)
    print(table)
    content = {"machine": machine(), "runs": len(plan.runs), "environment": PROCESSORS, "pairs": rows}
    print(write(options.name, content))
    return int(any(row["regression"] for row in rows))


def chosen(plan: Plan, only: Sequence[str]) -> Plan:
    """The runs of ``plan`` with one of the texts in their label."""
    labels = run_labels([spec.leaves() for spec in plan.runs], plan.factors)
    kept = [
        spec for spec, label in zip(plan.runs, labels, strict=True) if any(text in label for text in only)
    ]
    return replace(plan, runs=tuple(kept))


def figures_on(name: str, folder: Path) -> tuple[RunFigures, ...]:
    """The figures of all runs as the processor ``name`` computes them, by a process of its own."""
    file = folder / f"{name.replace(' ', '-')}.json"
    if not file.is_file():
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, *sys.argv, "--as-told", str(file)]
        subprocess.run(command, env={**os.environ, **PROCESSORS[name]}, check=True)
    return tuple(RunFigures(**run) for run in json.loads(file.read_text()))


def carry_out(plan: Plan, file: Path) -> None:
    """Carry out all runs in this process, and write their figures."""
    if os.environ.get(SCIPY):
        from ptychosuite.backends import arrays

        arrays.ducc = None
    labels = run_labels([spec.leaves() for spec in plan.runs], plan.factors)
    figures = []
    for spec, label in zip(plan.runs, labels, strict=True):
        record, _ = execute(spec)
        figures.append(asdict(figures_of(record, label)))
    file.write_text(json.dumps(figures))


def compared(
    committed: Baseline, plan: Plan, found: Mapping[str, Sequence[RunFigures]]
) -> Iterator[dict[str, Any]]:
    """Each processor beside the committed baseline, and each beside each other."""
    ids = {spec.spec_id for spec in plan.runs}
    kept = replace(committed, runs=tuple(run for run in committed.runs if run.spec_id in ids))
    for name, now in found.items():
        yield row("the baseline", name, kept, plan, now)
    for before, name in permutations(found, 2):
        yield row(before, name, replace(kept, runs=found[before]), plan, found[name])


def row(
    before: str, now: str, baseline: Baseline, plan: Plan, figures: Sequence[RunFigures]
) -> dict[str, Any]:
    """What a check on the one processor says of a baseline of the other."""
    environment = {**baseline.environment, "cpu": f"{now}, emulated"}
    findings = quality_findings(baseline, plan, PresentRuns(figures, environment, ()))
    judged = Counter(finding.judgement for finding in findings)
    differing = [finding for finding in findings if finding.ratio is not None and finding.ratio != 1.0]
    blamed = [finding for finding in findings if finding.judgement is not Judgement.GOOD]
    return {
        "baseline": before,
        "now": now,
        "figures": len(findings),
        "differ": sum("peak" not in finding.quantity for finding in differing),
        **{str(judgement): judged[judgement] for judgement in Judgement},
        "blamed": [said(finding) for finding in blamed],
    }


def said(finding: Finding) -> str:
    change = "" if finding.ratio is None else f" {finding.ratio - 1:+.2g}"
    return f"{finding.judgement}: {finding.subject}: {finding.quantity}{change} {finding.message}".strip()


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """What was found, as a table."""
    head = ("baseline", "now", "figures", "differ", *map(str, Judgement))
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for each in rows:
        lines.append("| " + " | ".join(str(each[name]) for name in head) + " |")
        lines += [f"    {text}" for text in each["blamed"][:8]]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
