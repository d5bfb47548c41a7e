"""One damaged or foreign file of a results folder costs itself alone, in every command, and is named."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from ptychosuite.errors import StoreError
from ptychosuite.store.layout import Store, place
from ptychosuite.store.read import inventory, read_run

from tests.store.test_reading_writes_nothing import content_of
from tests.study.small import AXES, carry_out, plan_of, run_files, study_file


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a study of four runs, all done."""
    folder = tmp_path_factory.mktemp("done")
    study = study_file(folder, AXES + "figures: [{kind: images, show: [magnitude]}, {kind: convergence}]\n")
    carry_out(plan_of(study), folder / "results")
    return folder


@pytest.fixture
def folder(done, tmp_path):
    """A copy of the study's results folder, beside the study."""
    shutil.copytree(done, tmp_path, dirs_exist_ok=True)
    return tmp_path / "results/tiny"


def first(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def cut(file: Path) -> Path:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return file


def emptied(file: Path) -> Path:
    file.write_bytes(b"")
    return file


def binary(file: Path) -> Path:
    file.write_bytes(bytes(range(256)) * 4)
    return file


def as_folder(file: Path) -> Path:
    file.unlink(missing_ok=True)
    file.mkdir(parents=True)
    return file


def dangling(file: Path) -> Path:
    file.unlink()
    file.symlink_to("nowhere")
    return file


def flipped(file: Path) -> Path:
    """One bit of the object, which comes first in the file."""
    content = bytearray(file.read_bytes())
    content[content.index(b"object/c/0/0") + 200] ^= 1
    file.write_bytes(content)
    return file


def of_another(file: Path) -> Path:
    shutil.copy(sorted(file.parents[1].glob("??/*.zip"))[-1], file)
    return file


def written(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    return file


def copy_as(file: Path, name: str) -> Path:
    return Path(shutil.copy(file, file.with_name(name)))


RUN, SESSION, CODE, TRUTH = "runs/??/*.zip", "sessions/*.json", "code/*.json", "references/*.zip"


class Damage(NamedTuple):
    """What is done to a folder; the file in question is returned."""

    does: object
    costs: int = 0  # runs
    found_by_reading: bool = False  # of all that is in the file


DAMAGES = {
    "run cut off": Damage(lambda f: cut(first(f, RUN)), 1),
    "run empty": Damage(lambda f: emptied(first(f, RUN)), 1),
    "run a folder": Damage(lambda f: as_folder(first(f, RUN)), 1),
    "run a dangling link": Damage(lambda f: dangling(first(f, RUN)), 1),
    "run of another name": Damage(lambda f: of_another(first(f, RUN)), 0, True),
    "image damaged": Damage(lambda f: flipped(first(f, RUN)), 0, True),
    "session empty": Damage(lambda f: emptied(first(f, SESSION))),
    "session cut off": Damage(lambda f: cut(first(f, SESSION))),
    "session binary": Damage(lambda f: binary(first(f, SESSION))),
    "later session empty": Damage(lambda f: written(f / "sessions/9999.json")),
    "session a folder": Damage(lambda f: as_folder(f / "sessions/9999.json")),
    "code list empty": Damage(lambda f: emptied(first(f, CODE))),
    "truth cut off": Damage(lambda f: cut(first(f, TRUTH))),
    "file among runs": Damage(lambda f: written(f / "runs/ab/notes.txt")),
    "folder among sessions": Damage(lambda f: written(f / "sessions/old/notes.txt")),
    "file beside": Damage(lambda f: written(f / "README.txt")),
    "conflict of a run": Damage(
        lambda f: copy_as(first(f, RUN), f"{first(f, RUN).name[:16]} (copy).zarr.zip")
    ),
    "conflict of a session": Damage(
        lambda f: copy_as(first(f, SESSION), "9999.sync-conflict-20300101-120000-ABCDEFG.json")
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage(command, folder, name):
    """It is named, told with what to do, and set aside; the runs it cost are to do again, and are done."""
    damage = DAMAGES[name]
    file = str(damage.does(folder).relative_to(folder.parents[1]))
    study = "tiny.yaml"
    before = content_of(folder)
    code, out, _ = command("plan", study)
    known = 0 if damage.found_by_reading else damage.costs
    assert (code, f"{4 - known} done, {known} to do" in out) == (0, True)
    assert command("plan", study, "--why")[0] == 0
    code, out, _ = command("show", study)
    assert code == 0
    assert f"{4 - damage.costs} completed" in out
    if not damage.found_by_reading:
        assert file in out
        assert "ptychosuite clean results/tiny" in out
    code, out, _ = command("doctor", study)
    assert (code, file in out, "ptychosuite clean" in out) == (1, True, True)
    code, out, _ = command("clean", study)
    assert (code, file in out, "1 damaged:" in out) == (0, True, True)
    assert content_of(folder) == before
    assert command("clean", study, "--yes")[0] == 0
    assert [os.path.lexists(f"removed/{file}"), os.path.lexists(file)] == [False, False]
    (moved,) = (folder / "removed").iterdir()
    assert os.path.lexists(moved / Path(file).relative_to("results/tiny"))
    assert command("run", study, "--cluster", "none")[0] == 0
    code, out, _ = command("show", study)
    assert (code, "4 completed" in out, "clean" in out) == (0, True, False)
    assert command("doctor", "results/tiny", "--json")[0] == 0


@pytest.mark.parametrize("name", [name for name, damage in DAMAGES.items() if damage.costs])
def test_a_damaged_run_is_done_again(command, folder, name):
    """By the next sweep, without ``clean``; nothing is deleted."""
    before = run_files(folder)
    file = DAMAGES[name].does(folder)
    code, out, err = command("run", "tiny.yaml", "--cluster", "none")
    assert code == 0
    assert "1 run to do again, whose damaged files are now in results/tiny/removed/" in out + err
    assert inventory(Store.open(folder)).done[file.name[:16]].name == file.name
    assert any(file.name in (*below, *files) for _, below, files in os.walk(folder / "removed"))
    del before[file.name]
    assert before.items() <= run_files(folder).items()


def test_all_damages_at_once(command, folder, quick_figures):
    """What reads works on with the rest, and says what is missing."""
    for name in ("run cut off", "session empty", "file among runs", "file beside", "session a folder",
                 "conflict of a session", "code list empty"):  # fmt: skip
        DAMAGES[name].does(folder)
    (folder / ".DS_Store").write_text("hidden")
    (folder / "runs/.nfs000001").write_text("hidden")
    os.mkfifo(folder / "sessions/pipe.json")
    assert command("report", "tiny.yaml")[0] == 0
    page = Path("reports/tiny/index.html").read_text()
    assert "1 run has a damaged file and counts as missing" in page
    assert command("export", "tiny.yaml", "--to", "csv", "--out", "tiny.csv", "--partial")[0] == 0
    assert len(Path("tiny.csv").read_text().splitlines()) == 4
    code, out, _ = command("show", "tiny.yaml")
    assert (code, "hidden" in out or "DS_Store" in out) == (0, False)
    assert "3 completed, 1 missing" in out
    assert command("baseline", "save", "good", "tiny.yaml", "--baselines", ".")[0] == 2
    code, _, err = command("merge", "whole/tiny", "results/tiny")
    assert (code, "README.txt" in err, "notes.txt" in err) == (1, False, True)
    assert len(run_files("whole/tiny")) == 3


def test_a_damaged_image_costs_its_figure(command, folder, quick_figures):
    """The run is shown without it; the page names the file, and the report by its exit code."""
    drawn = (file for file in folder.glob(RUN) if read_run(place(file)).spec.seed == 0)
    file = flipped(next(drawn))
    code, _, err = command("report", "tiny.yaml")
    assert code == 1, err
    assert f"{file.name} cannot be read" in err
    assert "everything else is in reports/tiny" in err
    page = Path("reports/tiny/index.html").read_text()
    assert file.name in page
    drawn = [each.stem for each in Path("reports/tiny/figures").iterdir()]
    assert "images" in drawn
    assert any(stem.startswith("convergence") for stem in drawn)


def test_a_damaged_truth_is_written_anew(folder, done):
    """By the next run that brings it."""
    truth = cut(first(folder, TRUTH))
    shutil.rmtree(folder / "runs")
    carry_out(plan_of(folder.parents[1] / "tiny.yaml"), folder.parent)
    assert truth.read_bytes() == first(done / "results/tiny", TRUTH).read_bytes()


@pytest.mark.parametrize("loss", ["cut off", "damaged", "deleted"])
def test_a_lost_truth_is_written_again(command, folder, done, loss):
    """``doctor`` names it with the runs it is the truth of, and ``run`` makes it from their problem."""
    truth = first(folder, TRUTH)
    {"cut off": cut, "damaged": binary, "deleted": Path.unlink}[loss](truth)
    code, out, _ = command("doctor", "tiny.yaml")
    assert (code, truth.name in out) == (1, True)
    if loss == "damaged":
        assert command("clean", "tiny.yaml", "--yes")[0] == 0
    if loss != "cut off":
        code, out, _ = command("doctor", "tiny.yaml")
        assert (code, f"{truth.name} is missing" in out) == (1, True)
        assert any(file[:16] in out for file in run_files(folder))
        assert "nothing to clean" in command("clean", "tiny.yaml")[1]
    before = run_files(folder)
    code, out, err = command("run", "tiny.yaml", "--cluster", "none")
    assert (code, f"{truth.name}" in out + err) == (0, True)
    assert run_files(folder) == before
    assert truth.read_bytes() == (done / "results/tiny/references" / truth.name).read_bytes()
    assert command("doctor", "tiny.yaml")[0] == 0
    assert truth.name not in "".join(command("run", "tiny.yaml", "--cluster", "none")[1:])


def test_merging_makes_good(command, folder, done):
    """A whole run takes the place of a damaged one, which is set aside."""
    file = cut(first(folder, RUN))
    assert command("merge", folder, done / "results/tiny")[0] == 0
    assert len(inventory(Store.open(folder)).done) == 4
    assert len(list((folder / "removed").rglob(file.name))) == 1


@pytest.mark.parametrize("damage", [cut, binary])
def test_merging_makes_a_truth_good(command, folder, done, damage):
    """As it does with runs."""
    truth = damage(first(folder, TRUTH))
    assert command("merge", folder, done / "results/tiny")[0] == 0
    assert truth.read_bytes() == (done / "results/tiny/references" / truth.name).read_bytes()
    assert len(list((folder / "removed").rglob(truth.name))) == 1


def test_truths_that_no_run_is_compared_with(command, folder):
    """They go with the last run that refers to them, and not before."""
    assert "orphaned" not in command("clean", "tiny.yaml")[1]
    truth = first(folder, TRUTH)
    copy_as(truth, "0123456789abcdef.zarr.zip")
    found = json.loads(command("clean", "tiny.yaml", "--json")[1])["found"]
    assert found["orphaned"] == ["results/tiny/references/0123456789abcdef.zarr.zip"]
    code, out, _ = command("clean", "tiny.yaml", "--set", "problem.noise=0.3", "--json")
    found = json.loads(out)["found"]
    assert (code, len(found["foreign"]), len(found["orphaned"])) == (0, 4, 2)
    found = json.loads(command("clean", "tiny.yaml", "--set", "problem.noise=0.3", "--only", "orphaned",
                               "--json")[1])["found"]  # fmt: skip
    assert len(found["orphaned"]) == 1


def test_no_file_in_the_place_of_a_result(tmp_path):
    """A sweep says what is in its way, and takes nothing else for a result.

    In a folder without runs: one of them may lie in any of the folders named here.
    """
    store = Store.create(tmp_path / "tiny")
    as_folder(Path(f"{store.run_file('ab' * 8)}"))
    code = store.run_file("cd" * 8)
    with pytest.raises(StoreError, match="a folder or a link is in its place"):
        store.run_file("ab" * 8).create(b"content")
    written(Path(str(code)).parent)
    with pytest.raises(StoreError, match="Not a directory"):
        code.create(b"content")


def test_axes_of_one_value_are_shown(command, tmp_path):
    """In the table of ``show`` and in that of the report; what is no axis is not."""
    study_file(tmp_path, "axes: {problem.noise: [0.1], seed: [0, 1]}\n")
    assert command("run", "tiny.yaml", "--cluster", "none")[0] == 0
    header = command("show", "tiny.yaml")[1].splitlines()[0].split()
    assert header[:4] == ["run", "status", "seed", "noise"]
    assert command("figures", "tiny.yaml")[0] == 0
    (table,) = Path("figures").rglob("summary.csv")
    assert table.read_text().split(",")[0] == "noise"
