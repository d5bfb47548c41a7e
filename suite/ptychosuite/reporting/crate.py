"""What runs were computed with, for those who want to compute them again.

::

    environments.json    each environment once: code, packages, machine, threads, and the runs it computed
    requirements.txt     its packages as pip reads them; requirements-2.txt, ... where runs had others
    installed.txt        all that is installed, where that agrees with what the runs recorded

Bundles: a study with its results, figures, environment and provenance as one RO-Crate to publish.

::

    ro-crate-metadata.json, ro-crate-preview.html   what there is, for machines and for people
    study.yaml, study.json                          the study file as it was written; what was planned
    results/<study>/                                runs, references, sessions and study.zarr
    report/<study>/                                 page, figures and their numbers
    environment/                                    what ran, as above

``ptychosuite.reporting.crate_metadata`` describes it, ``ptychosuite.reporting.bundle`` reads it back.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path, PurePath
from typing import Any

from ptychosuite.analysis.selection import Selection, selection_of
from ptychosuite.core.runs import RunRecord
from ptychosuite.errors import FigureError, StoreError
from ptychosuite.reporting.bundle import RESULTS, STUDY
from ptychosuite.reporting.crate_metadata import Author, describe, new_crate
from ptychosuite.reporting.page import write_report
from ptychosuite.store.compact import compact
from ptychosuite.store.layout import Store
from ptychosuite.store.planned import what_was_planned
from ptychosuite.store.read import read_reference, read_run, sessions
from ptychosuite.store.write import write_session

PASSING = ("host", "process", "cores", "start", "end", "lane", "stack", "code")  # no part of an environment


def write_environments(records: Sequence[RunRecord], folder: Path) -> None:
    """Write the environments of ``records`` to the new folder ``folder``."""
    folder.mkdir(parents=True)
    environments = _environments(records)
    _write(folder / "environments.json", json.dumps(environments, indent=1, sort_keys=True))
    for number, lock in enumerate(dict.fromkeys(map(_requirements, environments)), start=1):
        _write(folder / f"requirements{f'-{number}' if number > 1 else ''}.txt", lock)
    if all(map(_is_installed, environments)):
        installed = {f"{found.metadata['Name']}=={found.version}" for found in distributions()}
        _write(folder / "installed.txt", "\n".join(sorted(installed, key=str.lower)))


def _environments(records: Sequence[RunRecord]) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        what = {name: value for name, value in record.provenance.items() if name not in PASSING}
        found.setdefault(json.dumps(what, sort_keys=True), {**what, "runs": []})["runs"].append(record.run_id)
    return list(found.values())


def _requirements(environment: Mapping[str, Any]) -> str:
    known = {name: environment.get(name) for name in ("python", "ptychosuite", "git_commit")}
    head = [f"# {name.replace('_', ' ')} {value}" for name, value in known.items() if value]
    packages = sorted({**environment.get("packages", {}), **environment.get("code_packages", {})}.items())
    return "\n".join([*head, *(f"{name}=={found}" for name, found in packages)])


def _is_installed(environment: Mapping[str, Any]) -> bool:
    """Whether this Python, with these packages, is what computed the runs."""
    try:
        here = {name: version(name) for name in environment.get("packages", {})}
    except PackageNotFoundError:
        return False
    return environment.get("python") == platform.python_version() and environment.get("packages") == here


def _write(file: Path, text: str) -> None:
    file.write_text(text + "\n", encoding="utf-8")


ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # a fixed time, so that equal content gives equal files
READABLE = 0o644 << 16  # for everybody, where it is unpacked
PACKED = (".zip", ".png", ".pdf")  # gain nothing from being compressed again


def write_bundle(selection: Selection, out: Path, licence: str, authors: Sequence[Author] = ()) -> Path:
    """Write the runs of ``selection`` and all that belongs to them to ``out``, a zip file or a new folder.

    Parameters
    ----------
    licence
        SPDX identifier.

    Raises
    ------
    UserError
        The library that writes RO-Crates is missing.
    StoreError
        ``out`` exists or cannot be written, or a run or a truth is damaged or missing. Nothing is left of it.
    FigureError
        A figure has failed. The bundle is there all the same, with the others.
    """
    crate = new_crate()
    if out.exists():
        raise StoreError(f"{out} is there already; name another file or folder with --out")
    study = what_was_planned(selection.study)
    with tempfile.TemporaryDirectory(prefix="ptychosuite-crate-") as folder:
        content, whole = Path(folder) / "content", Path(folder) / "crate"
        runs = _fill(selection, study, content)
        failed = _reported(selection.name, study, content)
        describe(crate, content, study, runs, licence, authors)
        crate.write(whole)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            if out.suffix == ".zip":
                _zip(whole, out)
            else:
                _copy_folder(whole, out)
        except OSError as error:
            raise StoreError(f"cannot write {out}: {error.strerror or error}") from error
    if failed:
        raise FigureError(failed, out)
    return out


def _fill(selection: Selection, study: Mapping[str, Any], folder: Path) -> dict[str, RunRecord]:
    """Put all files of the bundle into ``folder``; name in it -> run, without images.

    Raises
    ------
    StoreError
        A run or a truth is damaged or missing: it is read whole before it is copied.
    """
    results = f"{RESULTS}/{selection.name}"
    store = Store.create(folder / results)
    runs = {}
    for path in selection.stored["path"]:
        source = selection.store.root / path
        read_run(source)  # with its images: nothing damaged is published
        runs[f"{results}/{path}"] = read_run(source, images=False)
        (store.root / path).create(source.read())
    for name in dict.fromkeys(record.reference for record in runs.values() if record.reference):
        read_reference(selection.store, name)
        store.reference_file(name).create(selection.store.reference_file(name).read())
    for code in dict.fromkeys(record.provenance.get("code", "") for record in runs.values()):
        if selection.store.code_file(code).exists():
            store.code_file(code).create(selection.store.code_file(code).read())
    for number, session in enumerate(sessions(selection.store), start=1):
        command = [_without_folders(word) for word in session["command"]]
        write_session(store, f"{number:04d}", {**session, "command": command})
    compact(store, study=study)
    (store.root / ".compactor.lock").delete()
    (folder / STUDY).write_text(json.dumps(study, indent=1) + "\n", encoding="utf-8")
    (folder / "study.yaml").write_text(study["text"], encoding="utf-8")
    write_environments(list(runs.values()), folder / "environment")
    return runs


def _reported(name: str, study: Mapping[str, Any], folder: Path) -> str:
    """Put the report beside the results; which figures have failed is returned."""
    selection = selection_of(Store.open(folder / RESULTS / name), study)
    try:
        write_report(selection, folder / "report", source="results, in this bundle")
    except FigureError as error:
        return error.failed
    return ""


def _without_folders(word: str) -> str:
    """A word of a command line; of absolute paths, which tell of this machine, the last part."""
    option, equals, value = word.rpartition("=")
    return f"{option}{equals}{PurePath(value).name if PurePath(value).is_absolute() else value}"


def _copy_folder(folder: Path, out: Path) -> None:
    """Copy ``folder``; one that is not finished has another name, and does not stay."""
    unfinished = out.with_name(f".{out.name}.part")
    try:
        shutil.copytree(folder, unfinished)
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _zip(folder: Path, out: Path) -> None:
    """Pack ``folder``; equal content gives equal files. A file that is not finished has another name."""
    unfinished = out.with_name(f".{out.name}.part")
    try:
        with zipfile.ZipFile(unfinished, "w") as archive:
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), ZIP_TIME)
                entry.external_attr = READABLE
                entry.compress_type = zipfile.ZIP_STORED if file.suffix in PACKED else zipfile.ZIP_DEFLATED
                with open(file, "rb") as source, archive.open(entry, "w") as target:
                    shutil.copyfileobj(source, target)
        unfinished.rename(out)
    finally:
        unfinished.unlink(missing_ok=True)
