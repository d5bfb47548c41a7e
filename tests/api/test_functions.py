"""What the functions return: plain objects that show themselves, and errors instead of exits."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import ptychosuite
import ptychosuite.execute.one_run as execution
import pytest
import xarray as xr
from ptychosuite.analysis.verdict import Judgement, Verdict
from ptychosuite.errors import StoreError, StudyError, UserError
from ptychosuite.execute.interruption import check_interruption, noted_interruptions

from tests.api.test_studies import TINY
from tests.study.small import run_files

QUIET = {"cluster": "none", "progress": False}


@pytest.fixture
def done(tmp_path, monkeypatch):
    """The tiny study, run in the working directory."""
    monkeypatch.chdir(tmp_path)
    return ptychosuite.run(TINY, **QUIET)


def test_plan_shows_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    planned = ptychosuite.plan(TINY)
    assert set(planned.states.values()) == {"to do"}
    assert list(planned.runs) == list(planned.states)
    assert len(planned.remaining) == 4
    assert planned.cost.cpu_seconds > 0
    assert str(planned).count("to do\n") == 5
    assert repr(planned) == "<StudyPlan of 'tiny': 4 to do>"
    assert planned._repr_html_().count("<td>to do</td>") == 4
    many = ptychosuite.plan(TINY, {"seed": range(50)})
    assert "... and 60 more; text() lists them" in str(many)
    assert len(many.text().splitlines()) > 100
    assert os.listdir(tmp_path) == []


def test_run_says_what_came_of_it(done, capsys):
    assert done.counts == {"completed": 4}
    assert (done.done_before, done.failed, done.failures) == (0, [], {})
    assert str(done) == "4 completed; results: results/tiny/study.zarr"
    assert "<pre>" in done._repr_html_()
    assert isinstance(done.dataset, xr.Dataset)
    assert done.dataset.sizes["run"] == 4
    assert set(ptychosuite.plan(TINY).states.values()) == {"done"}
    again = ptychosuite.run(TINY, **QUIET)
    assert (again.counts, again.done_before) == ({}, 4)
    assert capsys.readouterr() == ("", "")


def test_progress_goes_to_stderr(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ptychosuite.run(TINY, cluster="none")
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tiny: 4 runs, 0 done, 4 to do\n")
    assert "4/4 runs, 0 failed, " in err


def test_failures_have_their_reason(tmp_path, monkeypatch):
    """No exit and no exception: a failed run is a result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "reconstruct", lambda *args: 1 / 0)
    outcome = ptychosuite.run(TINY, **QUIET)
    assert outcome.counts == {"failed": 4}
    assert list(outcome.failures) == outcome.failed
    assert set(outcome.failures.values()) == {"ZeroDivisionError: division by zero"}
    assert "ZeroDivisionError" in repr(outcome)
    assert set(ptychosuite.plan(TINY).states.values()) == {"failed"}


def test_open(done):
    """By results folder, by study, by study file's name: the dataset, and images when they are asked for."""
    results = ptychosuite.open("results/tiny")
    assert len(results) == 4
    assert results.dataset["residual"].values.tolist() == done.dataset["residual"].values.tolist()
    run_id = str(results.dataset["run_id"].values[0])
    image, probe = results.image(run_id[:8]), results.probe(run_id)
    assert image is not None
    assert image.dtype == np.complex64
    assert probe is not None
    assert probe.shape == (16, 16)
    truth = results.truth(run_id)
    assert truth is not None
    assert truth.object.shape == image.shape
    assert results.describe(run_id)["status"] == "completed"
    assert results.record(run_id).metrics["residual"] == results.table["residual"][0]
    assert "4 runs in results/tiny: 4 completed" in str(results)
    assert results._repr_html_().count("<tr>") == 5
    assert len(ptychosuite.open(TINY)) == 4
    with pytest.raises(UserError, match="0 runs of results/tiny"):
        results.record("zzz")
    with pytest.raises(StoreError, match="no results in"):
        ptychosuite.open(TINY | {"study": "other"})


def test_open_a_bundle(done):
    """It is unpacked for as long as it is needed."""
    written = ptychosuite.export(TINY, "crate", out="tiny.zip", licence="MIT", progress=False)
    assert (written.path, written.runs) == (Path("tiny.zip"), 4)
    with ptychosuite.open("tiny.zip") as results:
        folder = Path(str(results.store.root))
        assert results.dataset.sizes["run"] == 4
        assert folder.exists()
    assert not folder.exists()


def test_pages(done):
    """Report and trend are paths that a notebook shows as links."""
    page = ptychosuite.report(TINY | {"figures": [{"kind": "setup"}]}, out="pages", progress=False)
    assert page == Path("pages/tiny/index.html")
    assert page.read_text().startswith("<!")
    assert page._repr_html_() == '<a href="pages/tiny/index.html" target="_blank">pages/tiny/index.html</a>'
    with pytest.raises(StoreError, match="no check is on record"):
        ptychosuite.trend(TINY, progress=False)
    with pytest.raises(UserError, match="expected one of crate"):
        ptychosuite.export(TINY, "xls", progress=False)


def test_check(done):
    """A verdict of the class that is kept, which shows itself; the baseline is a file."""
    file, made = ptychosuite.save_baseline("good", TINY)
    assert file == Path("results/baselines/good.json")
    assert [each.name for each in ptychosuite.list_baselines()] == ["good"]
    assert len(made.runs) == 4
    verdict = ptychosuite.check(TINY, baseline="good")
    assert isinstance(verdict, Verdict)
    assert verdict.judgement is Judgement.GOOD
    assert str(verdict).startswith("tiny against baseline good: good.")
    assert "first iterations" in verdict.text(show_all=True)
    assert "good" in verdict._repr_html_()
    assert Verdict.from_dict(verdict.to_dict()).findings == verdict.findings
    assert verdict.file is not None
    assert Path(verdict.file).is_file()
    assert ptychosuite.trend(TINY, progress=False) == Path("reports/tiny-trend.html")


def test_reproduce(done):
    before = run_files("results/tiny")
    found = ptychosuite.reproduce(TINY, **QUIET)
    assert found.judgement is Judgement.GOOD
    assert found.counts == {"identical": 4}
    assert [comparison.likeness for comparison in found] == ["identical"] * 4
    assert str(found) == "4 runs: 4 identical"
    assert "4 identical" in found._repr_html_()
    assert found.text(show_all=True).count("identical") == 5
    assert run_files("results/tiny") == before


def test_results_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (ptychosuite.report, ptychosuite.open, ptychosuite.trend):
        with pytest.raises(StoreError, match="run the study first"):
            call(TINY)
    with pytest.raises(StudyError, match="is a folder"):
        ptychosuite.plan(tmp_path)


def test_available():
    """Every group of nouns, each with its summary and its settings."""
    solvers = ptychosuite.available("solvers")
    assert solvers["rpie"]["settings"]["alpha"] == 0.05
    assert solvers["rpie"]["summary"]
    assert "circuit" in ptychosuite.available("objects")
    with pytest.raises(ValueError, match="did you mean 'solvers'"):
        ptychosuite.available("solver")


# Interruptions


class AsksToStop:
    """Ctrl-C, at the moment at which Python would not tell anybody of it."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_in_a_destructor_is_heard():
    with noted_interruptions():
        check_interruption()
        AsksToStop()  # gone at once; Python drops what its destructor raises
        with pytest.raises(KeyboardInterrupt):
            check_interruption()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sweep_hears_it_too(tmp_path, monkeypatch):
    """What has ended is kept, the run under way is given up, and the same call goes on from there."""
    monkeypatch.chdir(tmp_path)
    real = execution.reconstruct

    def reconstruct(*args):
        if run_files("results/tiny"):
            AsksToStop()
        return real(*args)

    monkeypatch.setattr(execution, "reconstruct", reconstruct)
    with pytest.raises(KeyboardInterrupt):
        ptychosuite.run(TINY, **QUIET)
    assert len(run_files("results/tiny")) == 1
    monkeypatch.setattr(execution, "reconstruct", real)
    assert ptychosuite.run(TINY, **QUIET).counts == {"completed": 3}
