"""Studies that come with ptychosuite, and a first one of one's own."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from ptychosuite.api.display import Displayed, html_table, text_table
from ptychosuite.api.planning import File
from ptychosuite.errors import StudyError, nearest
from ptychosuite.study.expand import title_of
from ptychosuite.study.needs import Needs
from ptychosuite.study.shipped import shipped_files
from ptychosuite.study.study_file import STUDY_NAME, StudyFile, load_study

HEADER = ("name", "runs", "can run here", "needs", "title")
NAMES_A_STUDY = re.compile(r"^study:", re.MULTILINE)  # what overrides do not
STUDY_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class ShippedStudy(Displayed):
    """A study that comes with ptychosuite. Its text is the file.

    Parameters
    ----------
    name
        What commands and functions take in place of a file.
    file
        Where it lies; relative files in it count from there.
    """

    name: str
    file: Path

    @cached_property
    def title(self) -> str:
        """What its report is called."""
        return title_of(self._study)

    @cached_property
    def needs(self) -> Needs:
        """Runs, data files, packages and backends."""
        return Needs.of(self._study)

    @cached_property
    def lacking(self) -> tuple[str, ...]:
        """Why it cannot be carried out here, a reason each; empty where nothing is known against it."""
        return self.needs.lacking

    @property
    def row(self) -> tuple[str, ...]:
        """Its line in the table of all."""
        wanted = ", ".join((*self.needs.files, *self.needs.packages))
        return self.name, str(self.needs.runs), "no" if self.lacking else "yes", wanted, self.title

    def __str__(self) -> str:
        return self.file.read_text(encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """Plain data: what it is, what it needs, and what is lacking of that."""
        about = {"title": self.title, "file": str(self.file), "runs": self.needs.runs}
        needed = {"data": self.needs.files, "packages": self.needs.packages, "backends": self.needs.backends}
        return {**about, **needed, "lacking": self.lacking}

    @cached_property
    def _study(self) -> StudyFile:
        return load_study(self.file)


class ShippedStudies(Displayed, Mapping[str, ShippedStudy]):
    """All studies that come with ptychosuite, by name. Its text is a table.

    Parameters
    ----------
    studies
        In the order of their names.
    overrides
        Names of the files of overrides, for ``override_file``.
    """

    def __init__(self, studies: Iterable[ShippedStudy], overrides: Sequence[str]) -> None:
        self.overrides = overrides
        self._by_name = {study.name: study for study in studies}

    def __getitem__(self, name: str) -> ShippedStudy:
        return self._by_name[name]

    def named(self, name: str) -> ShippedStudy:
        """The study of this name.

        Raises
        ------
        StudyError
            There is none; with the nearest name.
        """
        if name not in self._by_name:
            raise StudyError(f"no study '{name}' comes with ptychosuite; {nearest(name, self._by_name)}")
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __str__(self) -> str:
        table = text_table(HEADER, [each.row for each in self.values()])
        lacking = dict.fromkeys(reason for each in self.values() for reason in each.lacking)
        reasons = "".join(f"not here: {reason}\n" for reason in lacking)
        return f"{table}\n\n{reasons}overrides, for --override: {', '.join(self.overrides)}"

    def _repr_html_(self) -> str:
        """A table."""
        below = f"overrides: {', '.join(self.overrides)}"
        return html_table(HEADER, [each.row for each in self.values()], below)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        of_each = {name: study.to_dict() for name, study in self.items()}
        return {"studies": of_each, "overrides": [*self.overrides]}


def studies() -> ShippedStudies:
    """The studies that come with ptychosuite: how many runs they have, what they need, what of it is here.

    Their names stand wherever a study file is taken, as in ``ptychosuite.run("quickstart")``.
    """
    found, overrides = [], []
    for name, file in shipped_files().items():
        if NAMES_A_STUDY.search(file.read_text(encoding="utf-8")):
            found.append(ShippedStudy(name, file))
        else:
            overrides.append(name)
    return ShippedStudies(found, overrides)


def new_study(file: File) -> Path:
    """Write a first study with comments, to be changed: four runs of a few seconds.

    Parameters
    ----------
    file
        Of the new study; what comes before its suffix names the study.

    Returns
    -------
    Its path.

    Raises
    ------
    StudyError
        It is there already, cannot be written, or its name is none for a study.
    """
    path = Path(file)
    if path.suffix not in STUDY_SUFFIXES:
        raise StudyError(f"{path}: a study is a YAML file; say {path}.yaml")
    if not STUDY_NAME.fullmatch(path.stem):
        raise StudyError(f"{path}: its name is that of the study: letters, digits, '.', '_' and '-'")
    text = files("ptychosuite.study").joinpath("first_study.yaml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(text.replace("NAME", path.stem))
    except FileExistsError as error:
        raise StudyError(f"{path} is there already, and is left as it is; choose another name") from error
    except OSError as error:
        raise StudyError(f"{path} cannot be written: {os.strerror(error.errno or 0)}") from error
    return path
