"""Who is to be cited for a bundle, and under which licence it may be used.

What the metadata of a bundle say: RO-Crate 1.1 and its Process Run Crate profile.

Every session that computed runs of the bundle is a CreateAction, with ptychosuite at its commit as the
instrument. Every file has its SHA-256.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptychosuite.core.runs import RunRecord, digest
from ptychosuite.errors import UserError
from ptychosuite.reporting.bundle import RESULTS, STUDY
from ptychosuite.store.layout import Store
from ptychosuite.store.read import sessions

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate


AUTHOR = re.compile(r"\s*(?P<name>[^<>]+?)\s*(<\s*(https?://orcid\.org/)?(?P<orcid>[^<>]*?)\s*>)?\s*")


@dataclass(frozen=True)
class Author:
    """Who is to be cited."""

    name: str
    orcid: str = ""  # without the address: 0000-0002-1825-0097


def author_of(text: str) -> Author:
    """Read "Name" or "Name <ORCID>".

    Raises
    ------
    UserError
        There is no name, or no ORCID between the brackets.
    """
    match = AUTHOR.fullmatch(text)
    if match is None:
        raise UserError(f"--author {text}: expected a name, as in 'Josiah Carberry <0000-0002-1825-0097>'")
    orcid = match["orcid"]
    if orcid is not None and not _is_orcid(orcid):
        raise UserError(
            f"--author {text}: '{orcid}' is no ORCID; expected sixteen digits of which the last one checks "
            "the others, as in 0000-0002-1825-0097"
        )
    return Author(match["name"], orcid or "")


def _is_orcid(text: str) -> bool:
    """Whether the last digit is right: ISO 7064, MOD 11-2."""
    if not re.fullmatch(r"(\d{4}-){3}\d{3}[\dX]", text):
        return False
    total = 0
    for digit in text.replace("-", "")[:-1]:
        total = (total + int(digit)) * 2
    return text[-1] == "0123456789X"[(12 - total % 11) % 11]


def checked_licence(text: str) -> str:
    """The SPDX identifier that ``text`` means, in its proper spelling.

    Raises
    ------
    UserError
        There is no such licence.
    """
    from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

    try:
        found = str(canonicalize_license_expression(text))
    except InvalidLicenseExpression:
        found = ""
    if not found or " " in found or found.startswith("LicenseRef-"):
        raise UserError(
            f"--license {text}: expected one SPDX identifier, as in CC-BY-4.0, CC0-1.0 or MIT; "
            "https://spdx.org/licenses lists them"
        )
    return found


PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"  # of the profile; sha256 is one
SPDX = "https://spdx.org/licenses/"
ORCID = "https://orcid.org/"
COMPLETED = "http://schema.org/CompletedActionStatus"
MEDIA_TYPES = {
    ".json": "application/json", ".yaml": "application/yaml", ".html": "text/html", ".csv": "text/csv",
    ".png": "image/png", ".svg": "image/svg+xml", ".pdf": "application/pdf", ".zip": "application/zip",
    ".txt": "text/plain",
}  # fmt: skip
NAMES = {
    "study.yaml": "study file, as it was written",
    STUDY: "what was planned and is drawn",
    "environments.json": "what the runs ran with, each environment once",
    "index.html": "report",
}


def new_crate() -> ROCrate:
    """An empty crate.

    Raises
    ------
    UserError
        The library that writes it is missing.
    """
    try:
        from rocrate.rocrate import ROCrate
    except ImportError as error:
        raise UserError(
            f"--to crate needs the package rocrate, which cannot be imported ({error}); "
            "pip install 'ptychosuite[crate]'"
        ) from error
    return ROCrate(version="1.1", gen_preview=True)


def describe(
    crate: ROCrate,
    content: Path,
    study: Mapping[str, Any],
    runs: Mapping[str, RunRecord],
    licence: str,
    authors: Sequence[Author],
) -> None:
    """Add all files below ``content`` to ``crate``, and say whose they are and how they were made.

    ``runs`` are the runs among them, by name of file.
    """
    crate.metadata.extra_contexts.append(TERMS)
    files = {}
    for file in sorted(path for path in content.rglob("*") if path.is_file()):
        name = file.relative_to(content).as_posix()
        files[name] = crate.add_file(file, name, properties=_file_properties(file, runs.get(name)))
    root = crate.root_dataset
    root["name"] = study["title"]
    root["description"] = (
        f"Study '{study['study']}' of ptychographic reconstruction: {len(runs)} runs with their results, "
        "figures, environment and provenance, computed and bundled by ptychosuite. Its commands report, show "
        "and reproduce read this bundle; results/*/study.zarr opens as an xarray dataset."
    )
    root["datePublished"] = _today()
    root["license"] = _add(crate, SPDX + licence, "CreativeWork", name=licence, url=SPDX + licence)
    version = PROFILE.rsplit("/", 1)[1]
    root["conformsTo"] = _add(crate, PROFILE, "CreativeWork", name="Process Run Crate", version=version)
    if authors:
        root["author"] = _one([_person(crate, author) for author in authors])
    store = Store.open(content / RESULTS / study["study"])
    inputs = [files["study.yaml"], *_data_files(crate, runs.values())]
    actions = [
        _action(crate, session, inputs, [files[name] for name in names])
        for session, names in _made_by(list(sessions(store)), runs)
    ]
    if actions:
        root["mentions"] = _one(actions)


def _today() -> str:
    """The date, or that of SOURCE_DATE_EPOCH, by which builds are repeated bit for bit."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    return (datetime.fromtimestamp(int(epoch), UTC) if epoch else datetime.now(UTC)).date().isoformat()


def _file_properties(file: Path, run: RunRecord | None) -> dict[str, Any]:
    with open(file, "rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    kind = "truth " if file.parent.name == "references" else ""
    described = {"name": f"{kind}{NAMES.get(file.name, file.name)}"}
    if run is not None:
        described = {"name": f"run {run.run_id}", "description": f"{run.spec.solver_name}, {run.status}"}
    return {
        **described,
        "contentSize": str(file.stat().st_size),
        "sha256": sha256,
        "encodingFormat": MEDIA_TYPES.get(file.suffix, "application/octet-stream"),
    }


def _made_by(
    known: Sequence[Mapping[str, Any]], runs: Mapping[str, RunRecord]
) -> Iterator[tuple[Mapping[str, Any], list[str]]]:
    """Sessions with the files of the runs they computed: of those under way when a run began, the latest."""
    made: dict[int, list[str]] = {}
    for name, record in runs.items():
        start = str(record.provenance.get("start", ""))
        under_way = [
            number
            for number, session in enumerate(known)
            if session["start"] <= start <= session.get("end", start)
        ]
        if under_way:
            made.setdefault(under_way[-1], []).append(name)
    for number in sorted(made):
        yield known[number], made[number]


def _action(crate: ROCrate, session: Mapping[str, Any], inputs: Sequence[Any], results: Sequence[Any]) -> Any:
    ended = {"actionStatus": COMPLETED, "endTime": session["end"]} if "end" in session else {}
    return _add(
        crate,
        f"#session-{digest([session['start'], session['command']])}",
        "CreateAction",
        name=f"computation of {len(results)} runs",
        description=" ".join(session["command"]),
        startTime=session["start"],
        instrument=_software(crate, session["environment"]),
        object=_one(inputs),
        result=_one(results),
        **ended,
    )


def _software(crate: ROCrate, environment: Mapping[str, Any]) -> Any:
    """ptychosuite as it was: version, code and commit."""
    version = str(environment["ptychosuite"])
    commit = environment.get("git_commit")
    dirty = ", with uncommitted changes" if environment.get("git_dirty") else ""
    sources = environment.get("sources") or environment["code"]  # as older results have it
    return _add(
        crate,
        f"#ptychosuite-{sources}",
        "SoftwareApplication",
        name="ptychosuite",
        softwareVersion=f"{version}, commit {commit}{dirty}" if commit else version,
        identifier=sources,
    )


def _data_files(crate: ROCrate, records: Any) -> list[Any]:
    """What the runs read from files, by name and hash: it is no part of the bundle."""
    found: dict[str, str] = {}
    for record in records:
        leaves = record.spec.leaves()
        for path, value in leaves.items():
            sha256 = leaves.get(f"{path}_sha256")
            if sha256:
                found[sha256] = Path(value).name
    return [
        _add(
            crate,
            f"#data-{sha256[:16]}",
            "CreativeWork",
            name=name,
            sha256=sha256,
            description="a file that the runs read; it is not part of this bundle",
        )
        for sha256, name in sorted(found.items())
    ]


def _person(crate: ROCrate, author: Author) -> Any:
    identifier = ORCID + author.orcid if author.orcid else f"#{digest(author.name)}"
    return _add(crate, identifier, "Person", name=author.name)


def _one(entities: Sequence[Any]) -> Any:
    """A single entity stands for itself, as RO-Crate would have it."""
    return entities[0] if len(entities) == 1 else list(entities)


def _add(crate: ROCrate, entity_id: str, kind: str, **properties: Any) -> Any:
    """A contextual entity, or the one there is already by that id."""
    from rocrate.model.contextentity import ContextEntity

    known = crate.dereference(entity_id)
    if known is not None:
        return known
    entity = crate.add(ContextEntity(crate, entity_id, properties={"@type": kind}))
    for name, value in properties.items():
        entity[name] = value
    return entity
