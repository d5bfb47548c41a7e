"""A newcomer's data format: one class, for a file that holds no arrays at all."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from ptychosuite.core.runs import Status
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.execute.one_run import execute
from ptychosuite.problems.measured import MeasuredFile, Measurement, describe
from ptychosuite.problems.measured.format import DataFormat, Places, format_of
from ptychosuite.problems.measured.pattern_stack import single_stack
from ptychosuite.problems.measured.raw import Raw
from ptychosuite.problems.measured.source import Source
from ptychosuite.registry.lookup import classes, forget
from ptychosuite.testing import check_format

from tests.problems.measured import small
from tests.study.small import plan_of, study_file

HERE = "tests.problems.measured.test_toy_format"
MAGIC = b"# patterns as text\n"


@dataclass(frozen=True)
class Text(DataFormat):
    """A line a pattern: row, column, and the counts of all pixels."""

    label: ClassVar[str] = "text"
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    def recognises(self, source: Source) -> bool:
        return source.head.startswith(MAGIC)

    def read(self, source: Source, places: Places) -> Raw:
        with source.open() as stream:
            lines = np.loadtxt(stream)
        m = round((lines.shape[1] - 2) ** 0.5)
        stack = single_stack(lines[:, 2:].astype(np.uint16).reshape(-1, m, m), "lines", places.path)
        return Raw(stack, lines[:, :2], "px", convention="centre", probe=np.ones((m, m), complex))


@dataclass(frozen=True)
class Fails:
    """A format that derives from nothing and falls over every file."""

    def recognises(self, source):
        raise ZeroDivisionError("no luck")

    def read(self, source, places):
        return 1 / 0


def write_text(path: Path) -> Path:
    lines = np.concatenate([small.positions(), small.patterns().reshape(small.N, -1)], axis=1)
    with path.open("wb") as file:
        file.write(MAGIC)
        np.savetxt(file, lines)
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Both formats, as another package brings them."""
    info = tmp_path / "texts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: texts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        f"[ptychosuite.formats]\nfails = {HERE}:Fails\ntext = {HERE}:Text\nlost = no_such_module:X\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    forget()
    yield
    monkeypatch.undo()
    forget()


def test_it_promises_what_ours_do(tmp_path):
    """As ours, with files of ours as strangers."""
    strangers = [getattr(small, kind)(tmp_path / f"{kind}.h5") for kind in ("cxi", "nexus", "ptyd", "arrays")]
    expected = Measurement(small.corner(small.patterns()), small.positions(), np.ones((small.M, small.M)))
    check_format(Text(), write_text(tmp_path / "a.txt"), expected, strangers)


def test_named_by_its_class(tmp_path):
    """A study names the class; the patterns are what the text says, plain and packed."""
    text = write_text(tmp_path / "a.txt")
    measurement = MeasuredFile(str(text), format=f"{HERE}:Text").read()
    np.testing.assert_array_equal(measurement.diffraction_intensity, small.corner(small.patterns()))
    assert describe(measurement)["format"] == "text (.txt)"
    assert measurement.source["data"] == "lines"
    packed = tmp_path / "a.txt.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    again = MeasuredFile(str(packed), format=f"{HERE}:Text").read()
    np.testing.assert_array_equal(again.scan_positions_px, measurement.scan_positions_px)


def test_recognised(package, tmp_path):
    """Without its name it is found by what it recognises; a format that fails disturbs no file of another."""
    text = write_text(tmp_path / "a.txt")
    (spec,) = plan_of(study_file(tmp_path, head="study: s\nproblem: {kind: file, path: a.txt}\n"
                                 "stop: {iterations: 1}\n")).runs  # fmt: skip
    assert execute(spec)[0].status is Status.COMPLETED
    assert MeasuredFile(str(text)).read().source["format"] == "text"
    for kind in ("cxi", "nexus", "ptyd", "arrays"):
        with Source(getattr(small, kind)(tmp_path / f"{kind}.h5")) as source:
            assert format_of(source, "auto")[0] == kind
    (tmp_path / "b.txt").write_text("nothing")
    with pytest.raises(DataFileError, match=r"expected CXI \(\.cxi\), .*text \(\.txt\).*'fails'.*no luck"):
        MeasuredFile(str(tmp_path / "b.txt")).read()


def test_unknown_format(package, tmp_path):
    """A misspelt format is refused where it stands, with the nearest name; a broken one says why."""
    write_text(tmp_path / "a.txt")
    head = "study: s\nproblem: {kind: file, path: a.txt, format: FORMAT}\n"
    for wrong, said in (("txet", "did you mean 'text'"), ("lost", "no_such_module"), ("3", "valid string")):
        path = study_file(tmp_path, head=head.replace("FORMAT", wrong))
        with pytest.raises(StudyError, match=rf":2:\d+: problem\.format: found .*{said}"):
            plan_of(path)


def test_ours_say_what_they_are():
    """Every format of ours has a label and endings, and derives from the base."""
    for cls in classes("formats").values():
        assert issubclass(cls, DataFormat)
        assert cls().describe() == f"{cls.label} ({', '.join(cls.suffixes)})"
