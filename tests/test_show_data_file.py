"""``ptychosuite show FILE``: what a data file holds."""

from __future__ import annotations

import dataclasses
import json
import shutil

import h5py
import numpy as np
import ptychosuite
import pytest
from ptychosuite.api.display import tree_text
from ptychosuite.problems.measured import MeasuredFile, write_cxi

from tests.problems.measured import small
from tests.study.test_measured_study import write_star

KINDS = ["npz", "cxi"]
LENGTHS = {"wavelength_m": small.WAVELENGTH_M, "distance_m": small.DISTANCE_M,
           "detector_pixel_m": small.DETECTOR_PIXEL_M}  # fmt: skip


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
    """One line a fact: sizes, counts, span, geometry; then where each came from, all arrays, what is odd."""
    code, out, err = command("show", data_file)
    assert code == 0
    assert err == ""
    lines = [line.split(": ", 1) for line in out.splitlines()]
    facts = {key: rest[0] for key, *rest in lines if rest}
    assert facts["patterns"].startswith("16 of 16 x 16 pixels")
    assert "median" in facts["counts per pattern"]
    assert facts["object"].startswith("at least 4")
    assert facts["probe"].startswith("power ")
    is_cxi = data_file.suffix == ".cxi"
    assert facts["format"].startswith("CXI" if is_cxi else "plain arrays")
    assert facts["wavelength"] == ("1e-10 m" if is_cxi else "unknown")
    heads = [key for key, *rest in lines if not rest]
    assert heads == ["from:", "arrays:", "suspicions:"]
    odd = out.split("suspicions:")[-1]
    assert "overlap by 1" in odd


def test_json(command, data_file):
    """The same as an object, and nothing else on the output."""
    code, out, _ = command("show", data_file, "--json")
    assert code == 0
    content = json.loads(out)
    assert command("show", data_file)[1] == tree_text(content) + "\n"
    assert content == ptychosuite.describe_data(data_file)


def test_settings(command, data_file):
    """Settings of the problem, as a study would give them; a wrong one is named."""
    code, out, _ = command("show", data_file, "--set", "crop=8", "--set", "every=2", "--set", "first=0")
    assert code == 0
    assert "patterns: 8 of 8 x 8 pixels" in out
    for given, said in {
        "crop=7": "--set crop: found 7; expected",
        "crp=8": "--set crp: unknown key 'crp'; did you mean 'crop'?",
        "path=x": "named already",
        "mask={path: none.h5}": "none.h5",
    }.items():
        code, out, err = command("show", data_file, "--set", given)
        assert (code, out) == (2, "")
        assert said in err


def test_arrays_and_what_they_are_used_for(command, tmp_path):
    """Shape, type and use of each; other names of one array say so; unused ones are marked."""
    path = tmp_path / "scan.cxi"
    small.cxi(path)
    with h5py.File(path, "a") as file:
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        file["entry_1/monitor/counts"] = np.arange(small.N)
        file["entry_1/notes"] = "by night"
    content = ptychosuite.describe_data(path)
    arrays = content["arrays"]
    assert arrays["entry_1/data_1/data"] == "12 x 32 x 32, uint16: data"
    assert arrays["entry_1/instrument_1/detector_1/data"].endswith("the same as entry_1/data_1/data")
    assert arrays["entry_1/instrument_1/detector_1/distance"] == "float64: distance = 2.0"
    assert arrays["entry_1/monitor/counts"] == "12, int64: in the file, not used"
    assert arrays["entry_1/notes"] == "text: by night"
    assert content["suspicions"]["unused arrays"].startswith("entry_1/monitor/counts ")


def test_what_a_run_refuses_is_shown(command, tmp_path):
    """A guessed unit and a mask turned round at once, where a run stops at the first."""
    good = np.zeros((small.M, small.M), dtype=np.uint8)
    good[0, :4] = 1
    np.savez(tmp_path / "a.npz", data=small.patterns(), mask=good, xy=small.positions() * 1e-7)
    content = ptychosuite.describe_data(tmp_path / "a.npz", {"positions": "xy"} | LENGTHS)
    assert {"positions unit", "mask"} <= content["suspicions"].keys()
    assert all("(a run is refused)" in content["suspicions"][about] for about in ("positions unit", "mask"))
    told = ptychosuite.describe_data(
        tmp_path / "a.npz", {"positions": "xy", "positions_unit": "m", "mask_good": "zero"} | LENGTHS
    )
    assert not {"positions unit", "mask"} & told.get("suspicions", {}).keys()


def test_link_that_leads_nowhere(command, tmp_path):
    path = small.cxi(tmp_path / "scan.cxi")
    with h5py.File(path, "a") as file:
        file["entry_1/dark"] = h5py.ExternalLink("lost.h5", "/dark")
    assert "lost.h5" in ptychosuite.describe_data(path)["arrays"]["entry_1/dark"]


def test_arrays_of_other_files(command, tmp_path):
    """A file that has the positions is listed under its name."""
    np.savez(tmp_path / "patterns.npz", data=small.patterns())
    np.savez(tmp_path / "scan.npz", xy=small.positions(), other=np.ones((3, 3)))
    setting = "positions={path: scan.npz, key: xy}"
    code, out, _ = command("show", "patterns.npz", "--set", setting, "--json")
    assert code == 0
    arrays = json.loads(out)["arrays of"]
    assert arrays[str(tmp_path / "patterns.npz")] == {"data": "12 x 32 x 32, uint16: data"}
    assert arrays[str(tmp_path / "scan.npz")]["xy"] == "12 x 2, float64: positions"
    assert arrays[str(tmp_path / "scan.npz")]["other"] == "3 x 3, float64: in the file, not used"


def test_file_that_cannot_be_read_as_it_stands(command, tmp_path):
    """Its arrays are listed for the one who has to name them, and the code is that of a refusal."""
    np.savez(tmp_path / "odd.npz", eins=small.patterns(), zwei=small.positions())
    code, out, err = command("show", "odd.npz", "--out", "odd.png")
    assert code == 2
    assert "eins: 12 x 32 x 32, uint16: in the file, not used" in out
    assert err.startswith("ptychosuite: ")
    assert "name it with" in err
    assert "name it with" not in out
    assert not (tmp_path / "odd.png").exists()
    code, out, err = command("show", "odd.npz", "--json")
    assert code == 2
    assert json.loads(out)["not read"] in err
    code, _, _ = command(
        "show", "odd.npz", "--set", "data=eins", "--set", "positions=zwei", "--out", "odd.png"
    )
    assert code == 0
    assert (tmp_path / "odd.png").exists()


def test_data_of_a_study(command, tmp_path):
    """Read as the study says; a simulation has no file."""
    star = write_star(tmp_path / "star.npz")
    problem = f"problem: {{kind: file, path: {star}, crop: 8, positions_unit: px}}"
    (tmp_path / "s.yaml").write_text(f"study: s\n{problem}\nsolver: rpie\nstop: {{iterations: 1}}\n")
    code, out, _ = command("show", "s.yaml", "--data")
    assert code == 0
    assert "patterns: 16 of 8 x 8" in out
    assert "positions unit: px\n" in out
    (tmp_path / "t.yaml").write_text("study: t\nsolver: rpie\nstop: {iterations: 1}\n")
    code, _, err = command("show", "t.yaml", "--data")
    assert code == 2
    assert "simulated" in err
    assert command("show", "s.yaml", "--set", "problem.crop=8")[0] == 2


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
    assert "probe: " not in out
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
