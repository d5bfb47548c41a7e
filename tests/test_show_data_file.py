"""``ptychosuite show FILE``: what a data file holds."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
from ptychosuite.problems.measured import MeasuredFile, write_cxi

from tests.study.test_measured_study import write_star

KINDS = ["npz", "cxi"]


@pytest.fixture(params=KINDS)
def data_file(request, tmp_path):
    """A small measurement in one of the formats."""
    npz = write_star(tmp_path / "star.npz")
    if request.param == "npz":
        return npz
    measurement = dataclasses.replace(
        MeasuredFile(str(npz)).read(),
        pixel_m=1e-10 / (16 * 50e-6),
        wavelength_m=1e-10,
        distance_m=1.0,
        detector_pixel_m=50e-6,
    )
    write_cxi(tmp_path / "star.cxi", measurement)
    return tmp_path / "star.cxi"


def test_text(command, data_file):
    """One line a fact: sizes, counts, span, geometry, and where each came from."""
    code, out, err = command("show", data_file)
    assert code == 0
    assert err == ""
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines["patterns"].startswith("16 of 16 x 16 pixels")
    assert "median" in lines["counts per pattern"]
    assert lines["object"].startswith("at least 4")
    assert lines["probe"].startswith("power ")
    assert lines["source of format"] == ("cxi" if data_file.suffix == ".cxi" else "arrays")
    assert lines["wavelength"] == ("1e-10 m" if data_file.suffix == ".cxi" else "unknown")


def test_json(command, data_file):
    """The same as an object, and nothing else on the output."""
    code, out, _ = command("show", data_file, "--json")
    assert code == 0
    content = json.loads(out)
    text = command("show", data_file)[1]
    assert text == "".join(f"{key}: {value}\n" for key, value in content.items())


@pytest.mark.parametrize(
    ("data_file", "suffix"), [("npz", "png"), ("cxi", "pdf"), ("npz", "svg")], indirect=["data_file"]
)
def test_picture(command, data_file, tmp_path, suffix):
    """--out draws a picture in the format of its ending, in a new folder too; JSON stays JSON."""
    picture = tmp_path / "new" / f"star.{suffix}"
    code, out, _ = command("show", data_file, "--out", picture)
    assert code == 0
    assert f"picture: {picture}" in out
    assert picture.stat().st_size > 5000
    heads = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}
    assert picture.read_bytes().startswith(heads[suffix])
    code, out, err = command("show", data_file, "--out", picture, "--json")
    assert code == 0
    json.loads(out)
    assert "picture: " in err


def test_picture_without_a_probe(command, tmp_path):
    """A file without a probe is drawn as well."""
    bare = write_star(tmp_path / "bare.npz", probe=False)
    code, out, _ = command("show", bare, "--out", tmp_path / "bare.png")
    assert code == 0
    assert "probe: " not in out.replace("source of probe", "")
    assert (tmp_path / "bare.png").is_file()


def test_packed_file(command, tmp_path):
    """A file packed with gzip is looked into."""
    import gzip

    plain = write_star(tmp_path / "star.npz")
    packed = tmp_path / "star.npz.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert command("show", packed)[1] == command("show", plain)[1]


@pytest.mark.parametrize(
    "damage",
    [lambda content: content[: len(content) // 2], lambda content: content[:100], lambda content: b"nothing"],
    ids=["half", "head", "text"],
)
@pytest.mark.parametrize("arguments", [[], ["--json"], ["--out", "star.png"]], ids=str)
def test_damaged_file(command, data_file, damage, arguments):
    """A damaged file ends with code 2 and one line that names it; no picture, no half answer."""
    data_file.write_bytes(damage(data_file.read_bytes()))
    code, out, err = command("show", data_file, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("ptychosuite: ")
    assert str(data_file.resolve()) in err
    assert err.count("\n") == 1
    assert not (data_file.parent / "star.png").exists()


def test_empty_file(command, tmp_path):
    """An empty file is refused in one line."""
    (tmp_path / "empty.h5").write_bytes(b"")
    code, out, err = command("show", tmp_path / "empty.h5")
    assert (code, out) == (2, "")
    assert "empty.h5" in err


def test_picture_that_cannot_be_written(command, data_file):
    """A picture below a file, or of an unknown format, ends with code 2 and a reason."""
    for picture in (data_file / "x.png", data_file.parent / "x.nonsense"):
        code, _, err = command("show", data_file, "--out", picture)
        assert code == 2
        assert "cannot write the picture" in err


def test_file_that_is_not_there(command, tmp_path):
    """A missing file ends with code 2 and its name."""
    code, _, err = command("show", tmp_path / "nova.npz")
    assert code == 2
    assert "nova.npz" in err


def test_copies_tell_the_same(command, data_file, tmp_path):
    """What is shown does not depend on the name of the file."""
    other = tmp_path / f"copy{data_file.suffix}"
    shutil.copy(data_file, other)
    assert command("show", other)[1] == command("show", data_file)[1]
