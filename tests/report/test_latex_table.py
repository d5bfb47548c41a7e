"""Tables as LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from ptychosuite.reporting.latex_table import latex_table
from ptychosuite.reporting.page_content import TextTable

TABLE = TextTable(
    header=("solver", "noise", "error", "error", "50 % & more_of {it}"),
    rows=(
        ("MAGPIE (levels 7)", "0.05", "71.2 (70.1 to 73.0)", "1.2e-05", "12 %"),
        ("rPIE_x & co. #1", "0.4", "−3.5 (−4 to -2.5)", "not met", "3 of 5 <completed>"),
        ("[L-BFGS]", "", "1e+10", "–", r"a\b ~ ^ $5 µm"),
        ("*", "2", "7", "0", "x"),
    ),
    best=frozenset({(0, 2), (1, 0)}),
)
COMMAND = "ptychosuite report studies/noise.yaml"


def cells(text):
    """The rows of the tabular between its rules, each as its cells."""
    body = text.split("\\midrule\n")[1].split("\\bottomrule")[0]
    return [re.split(r" (?<!\\)& ", line.removesuffix(r" \\")) for line in body.splitlines()]


def test_its_form():
    """Rules of booktabs, a cell a column, columns with numbers to the right, braces and dollars in pairs."""
    text = latex_table(TABLE, "noise", COMMAND)
    lines = text.splitlines()
    assert lines[:3] == ["% study noise", f"% {COMMAND}", r"% needs \usepackage{booktabs}"]
    assert lines[3] == r"\begin{tabular}{lrrrr}"
    assert lines[-1] == r"\end{tabular}"
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert all(len(row) == 5 for row in cells(text))
    bare = re.sub(r"\\[{}$\\%]", "", text)
    assert bare.count("{") == bare.count("}")
    assert all(line.count("$") % 2 == 0 for line in bare.splitlines())


def test_numbers_and_text():
    """Numbers, their units and intervals in mathematics; the best ones bold; nothing special is left."""
    first, second, third, fourth = cells(latex_table(TABLE, "noise", COMMAND))
    assert first == [
        "MAGPIE (levels 7)",
        "$0.05$",
        r"\textbf{\boldmath $71.2$ ($70.1$ to $73.0$)}",
        r"$1.2 \times 10^{-5}$",
        r"$12$\,\%",
    ]
    assert second[0] == r"\textbf{\boldmath rPIE\_x \& co. \#1}"
    assert second[2:] == ["$-3.5$ ($-4$ to $-2.5$)", "not met", "3 of 5 $<$completed$>$"]
    assert third[0] == "{[}L-BFGS]"
    assert third[2] == r"$1 \times 10^{10}$"
    assert third[4] == r"a\textbackslash b \textasciitilde \space \textasciicircum \space \$5 $\mu$m"
    assert fourth[0] == "{*}"


def test_header_and_notes_are_escaped():
    """Two columns may have one name; a note stays on its line."""
    text = latex_table(TABLE, "noise", "ptychosuite report x.yaml\n--set a=1")
    assert r"solver & noise & error & error & 50 \% \& more\_of \{it\} \\" in text
    assert text.splitlines()[1] == "% ptychosuite report x.yaml --set a=1"


def test_an_empty_table():
    """A header without rows."""
    text = latex_table(TextTable(("a", "b"), ()), "s", "c")
    assert "a & b" in text
    assert r"\begin{tabular}{ll}" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is not installed")
def test_latex_takes_it(tmp_path):
    """Without a complaint, and with booktabs alone."""
    table = latex_table(TABLE, "noise", COMMAND)
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (tmp_path / "a.tex").write_text(f"{head}{table}\n\\end{{document}}\n", encoding="utf-8")
    call = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "a.tex"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "a.log").read_text(encoding="utf-8", errors="replace")
