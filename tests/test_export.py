"""Exports: tables for other programs, and bundles that go out and come back."""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

import dask
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from ptychosuite.analysis.selection import selection_of_plan
from ptychosuite.reporting.crate import write_bundle
from ptychosuite.reporting.crate_metadata import Author

from tests.store.test_damages import cut, flipped
from tests.study.small import carry_out, plan_of, study_file

needs_rocrate = pytest.mark.skipif(find_spec("rocrate") is None, reason="rocrate is not installed")
HERE = ("--cluster", "none")
STUDY = """\
axes:
  problem.object: [{kind: file, path: object.npy}, {kind: texture, size: 32}]
  solver: [rpie, lbfgs]
figures:
  - {kind: convergence, metric: residual}
"""
METADATA = "ro-crate-metadata.json"


def finished(folder: Path, text: str = STUDY) -> Path:
    """A study whose runs are done, one of whose objects is a file."""
    np.save(folder / "object.npy", np.exp(1j * np.random.default_rng(0).random((32, 32))))
    path = study_file(folder, text)
    carry_out(plan_of(path), folder / "results")
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Path:
    """A folder with a finished study, tiny.yaml, and its bundle, tiny.zip."""
    pytest.importorskip("rocrate", reason="bundles are written by rocrate")
    folder = tmp_path_factory.mktemp("published")
    export(finished(folder), folder / "tiny.zip")
    return folder


def export(study: Path, out: Path) -> None:
    """Write the bundle of a finished study."""
    plan = plan_of(study)
    authors = [Author("Josiah Carberry", "0000-0002-1825-0097"), Author("A. Nonymous")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        selection = selection_of_plan(plan, study.parent / "results")
        write_bundle(selection, out, "CC-BY-4.0", authors)


def unpacked(bundle: Path, folder: Path) -> Path:
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    return folder


def entities(folder: Path) -> dict[str, dict]:
    return {entity["@id"]: entity for entity in json.loads((folder / METADATA).read_text())["@graph"]}


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.glob(pattern)}


@needs_rocrate
@pytest.mark.usefixtures("quick_figures")
def test_round_trip(command, tmp_path, monkeypatch):
    """From the bundle alone, elsewhere, without study and data, come the same figures and the same runs."""
    study = finished(tmp_path, STUDY + "  - {kind: images, show: [magnitude]}\n")
    assert command("report", study)[0] == 0
    author = "Josiah Carberry <0000-0002-1825-0097>"
    code, out, _ = command("export", study, "--to", "crate", "--license", "cc-by-4.0", "--author", author)
    assert (code, out) == (0, "4 runs: tiny.zip\n")
    away = tmp_path / "away"
    away.mkdir()
    store, whole = tmp_path / "results/tiny", unpacked(tmp_path / "tiny.zip", tmp_path / "whole")
    assert contents(whole / "results/tiny", "code/*.json") == contents(store, "code/*.json") != {}
    for name in ("tiny.zip", "object.npy"):
        (tmp_path / name).rename(away / name)
    study.unlink()
    monkeypatch.chdir(away)
    code, out, _ = command("report", "tiny.zip")
    assert code == 0
    assert "reports/tiny/index.html" in out
    assert "the bundle tiny.zip" in (away / "reports/tiny/index.html").read_text()
    first, second = tmp_path / "reports/tiny", away / "reports/tiny"
    for files in ("numbers/*.csv", "figures/*.svg"):
        assert contents(first, files) == contents(second, files) != {}
    code, out, _ = command("reproduce", "tiny.zip", *HERE, "--data", ".")
    assert code == 0
    assert "4 identical" in out
    assert command("reproduce", "tiny.zip", *HERE)[0] == 3


@pytest.mark.usefixtures("quick_figures")
def test_folder_does_as_well(command, published):
    """A bundle may be a folder, which reading leaves as it is."""
    arguments = ("export", published / "results/tiny", "--to", "crate", "--license", "MIT", "--out", "crate")
    assert command(*arguments)[0] == 0
    before = sorted(Path("crate").rglob("*"))
    assert command("report", "crate")[0] == 0
    assert sorted(Path("crate").rglob("*")) == before
    code, _, err = command(*arguments)
    assert code == 2
    assert "crate is there already" in err


def test_what_the_metadata_say(published, tmp_path):
    """Licence, authors, sessions with their runs, inputs and files by hash; nothing of this machine."""
    folder = unpacked(published / "tiny.zip", tmp_path)
    found = entities(folder)
    root = found["./"]
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert [found[author["@id"]]["name"] for author in root["author"]] == ["Josiah Carberry", "A. Nonymous"]
    assert root["datePublished"] == "2023-11-14"
    action = found[root["mentions"]["@id"]]
    assert action["@type"] == "CreateAction"
    assert len(action["result"]) == 4
    assert found[action["instrument"]["@id"]]["name"] == "ptychosuite"
    data = [found[ref["@id"]] for ref in action["object"] if ref["@id"].startswith("#data")]
    content = (published / "object.npy").read_bytes()
    assert [(entry["name"], entry["sha256"]) for entry in data] == [
        ("object.npy", hashlib.sha256(content).hexdigest())
    ]
    files = {unquote(name): entry for name, entry in found.items() if entry["@type"] == "File"}
    held = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert held - {METADATA, "ro-crate-preview.html"} == files.keys()
    for name, entry in files.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]
    for name in (METADATA, "ro-crate-preview.html"):
        assert str(published) not in (folder / name).read_text()
        assert socket.gethostname() not in (folder / name).read_text()
    assert "numpy==" in (folder / "environment/requirements.txt").read_text()
    dataset = xr.open_zarr(folder / "results/tiny/study.zarr", chunks=None)
    assert dataset.sizes["run"] == 4


def test_same_study_gives_the_same_bundle(published, tmp_path):
    """Bit for bit."""
    export(published / "tiny.yaml", tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == (published / "tiny.zip").read_bytes()


def repacked(folder: Path, out: Path) -> Path:
    with zipfile.ZipFile(out, "w") as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(file, file.relative_to(folder).as_posix())
    return out


def change_a_run(folder: Path) -> None:
    file = next(folder.glob("results/tiny/runs/??/*.zip"))
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def lose_a_run(folder: Path) -> None:
    next(folder.glob("results/tiny/runs/??/*.zip")).unlink()


def lose_the_metadata(folder: Path) -> None:
    (folder / METADATA).unlink()


def rename_the_study(name: str):
    def change(folder: Path) -> None:
        study = json.loads((folder / "study.json").read_text())
        text = json.dumps({**study, "study": name})
        (folder / "study.json").write_text(text)
        replace_entity(folder, "study.json", sha256=hashlib.sha256(text.encode()).hexdigest())

    return change


def list_a_file_outside(folder: Path) -> None:
    replace_entity(folder, "study.json", **{"@id": "../outside.json"})


def replace_entity(folder: Path, name: str, **changes: str) -> None:
    content = json.loads((folder / METADATA).read_text())
    content["@graph"] = [{**e, **(changes if e["@id"] == name else {})} for e in content["@graph"]]
    (folder / METADATA).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_a_run, "has been changed or damaged"),
        (lose_a_run, "cannot be read as a bundle"),
        (lose_the_metadata, "cannot be read as a bundle"),
        (rename_the_study("../../victim"), "is no name of a study"),
        (list_a_file_outside, "a file outside itself"),
    ],
)
def test_damaged_bundle_is_refused(command, published, tmp_path, damage, message):
    """A bundle that is not what was exported is refused with what is wrong, and nothing is written."""
    folder = unpacked(published / "tiny.zip", tmp_path / "open")
    damage(folder)
    repacked(folder, tmp_path / "bad.zip")
    for arguments in (("report", "bad.zip"), ("show", "bad.zip"), ("reproduce", "bad.zip", *HERE)):
        code, _, err = command(*arguments)
        assert code == 2
        assert message in err
    assert not (tmp_path / "reports").exists()
    assert not (tmp_path.parent / "outside.json").exists()


def test_files_that_are_not_listed_take_no_part(command, published, tmp_path):
    """What somebody put into a bundle is not unpacked, wherever it would go."""
    bundle = tmp_path / "more.zip"
    bundle.write_bytes((published / "tiny.zip").read_bytes())
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.writestr("../../slipped.txt", "out")
        archive.writestr("results/tiny/runs/aa/aaaaaaaaaaaaaaaa.zarr.zip", "no run")
    code, out, _ = command("show", bundle)
    assert code == 0
    assert "4 runs in" in out
    assert not list(tmp_path.parent.rglob("slipped.txt"))


@pytest.mark.parametrize("content", [b"", b"no zip file"])
def test_no_bundle_at_all(command, tmp_path, content):
    (tmp_path / "x.zip").write_bytes(content)
    code, _, err = command("report", "x.zip")
    assert code == 2
    assert "x.zip cannot be read as a bundle" in err
    code, _, err = command("report", "nope.zip")
    assert code == 2
    assert "No such file" in err


def test_unfinished_study_is_refused(command, tmp_path):
    """A study with runs missing goes out with --partial alone."""
    path = study_file(tmp_path, "axes: {seed: {range: 3}}\n")
    command("run", path, *HERE, "--set", "seed=0")
    code, _, err = command("export", path, "--to", "csv")
    assert code == 2
    assert "2 of the 3 runs" in err
    assert "--partial" in err
    assert command("export", path, "--to", "csv", "--partial")[0] == 0
    assert len(pd.read_csv("tiny.csv")) == 1


@needs_rocrate
@pytest.mark.parametrize("name", ["tiny.zip", "tiny"])
@pytest.mark.parametrize("what", ["image damaged", "truth damaged", "truth missing"])
def test_nothing_damaged_is_published(command, tmp_path, what, name):
    """It is named with what to do, and no bundle is begun."""
    path = finished(tmp_path)
    truths = (tmp_path / "results/tiny").glob("references/*.zip")
    file = (
        next((tmp_path / "results/tiny").glob("runs/??/*.zip")) if what == "image damaged" else next(truths)
    )
    {"image damaged": flipped, "truth damaged": cut, "truth missing": Path.unlink}[what](file)
    before = set(tmp_path.iterdir())
    code, _, err = command("export", path, "--to", "crate", "--license", "MIT", "--out", name)
    assert code == 2
    assert f"{file.name} cannot be read" in err
    assert "run the study again" in err
    assert set(tmp_path.iterdir()) == before


WRONG = {
    "no licence": (["--to", "crate"], "--license CC-BY-4.0"),
    "unknown licence": (["--to", "crate", "--license", "free"], "SPDX"),
    "no ORCID": (["--to", "crate", "--license", "MIT", "--author", "A <1>"], "no ORCID"),
    "licence of a table": (["--to", "csv", "--license", "MIT"], "go with --to crate"),
    "unknown form": (["--to", "xls"], "--to"),
    "no form": ([], "--to"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_usage(command, tmp_path, arguments, message):
    path = study_file(tmp_path)
    command("run", path, *HERE)
    code, _, err = command("export", path, *arguments)
    assert code == 2
    assert message in err
    assert not list(tmp_path.glob("tiny.*z*"))


@pytest.mark.parametrize(
    ("form", "library"),
    [("crate", "rocrate.rocrate"), ("parquet", "pyarrow"), ("netcdf", "h5netcdf")],
)
def test_library_that_is_missing(command, tmp_path, monkeypatch, form, library):
    """Each format that needs a library says which, and how to get it."""
    monkeypatch.setitem(sys.modules, library, None)
    path = study_file(tmp_path)
    command("run", path, *HERE)
    licence = ["--license", "MIT"] if form == "crate" else []
    code, _, err = command("export", path, "--to", form, *licence)
    assert code == 2
    assert f"pip install 'ptychosuite[{form}]'" in err


def test_tables(command, tmp_path):
    """One row a run in CSV and Parquet, curves and factors in netCDF; the file may have any name."""
    path = study_file(tmp_path, "axes: {seed: {range: 2}}\n")
    command("run", path, *HERE)
    assert command("export", path, "--to", "csv", "--out", "a/b.csv")[0] == 0
    table = pd.read_csv("a/b.csv")
    assert table["seed"].tolist() == [0, 1]
    assert (table["residual"] > 0).all()
    if find_spec("pyarrow"):
        assert command("export", path, "--to", "parquet")[0] == 0
        assert pd.read_parquet("tiny.parquet")["residual"].tolist() == table["residual"].tolist()
    if find_spec("h5netcdf"):
        with dask.config.set(scheduler="dask.distributed"):  # as a client that was lost leaves it
            assert command("export", path, "--to", "netcdf")[0] == 0
        with xr.open_dataset("tiny.nc", engine="h5netcdf") as dataset:
            assert dataset["seed"].values.tolist() == [0, 1]
            assert dataset["residual_curve"].shape[0] == 2
    assert [entry.name for entry in Path("a").iterdir()] == ["b.csv"]
