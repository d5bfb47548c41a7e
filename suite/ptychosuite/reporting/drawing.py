"""The printed figures of a study: drawn, saved with their numbers, and embedded in the page."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from traceback import format_exception
from typing import Any, TypeVar

from ptychosuite.analysis.selection import Selection
from ptychosuite.errors import DamagedFile, NothingToDraw, StudyError, UserError
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import called
from ptychosuite.registry.validation import SettingError, validate
from ptychosuite.reporting.figures.figure_kind import Drawn, FigureKind
from ptychosuite.reporting.figures.material import Material, RunFiles
from ptychosuite.reporting.figures.wanted import alternatives, listed
from ptychosuite.reporting.latex_table import latex_table
from ptychosuite.reporting.page_content import Embedded, TextTable
from ptychosuite.reporting.style import house_style, picture, save, set_heading

T = TypeVar("T")


@dataclass(frozen=True)
class Sheet:
    """A figure about to be drawn."""

    figure: FigureKind
    material: Material
    stem: str  # of its files
    study: str  # its name


def draw_figures(selection: Selection, files: RunFiles, folder: Path) -> list[Embedded]:
    """Draw every figure of a study into ``folder/figures`` and ``folder/numbers``.

    All say which images they need before the first is drawn, so that a file is read once. One that cannot be
    drawn says why in its place and costs no other: that it asks for what the results do not have, as that
    of a session of another version may, or that there is a mistake in its code.
    """
    (folder / "numbers").mkdir(exist_ok=True)
    begun = _with_own_names([_begun(settings, selection, files) for settings in selection.figures])
    with house_style():
        return [
            sheet
            if isinstance(sheet, Embedded)
            else _guarded(sheet.figure.title, sheet.stem, partial(_drawn, sheet, folder))
            for sheet in begun
        ]


def _begun(settings: Mapping[str, Any], selection: Selection, files: RunFiles) -> Sheet | Embedded:
    title, kind = str(settings.get("title", "")), str(settings.get("kind", ""))
    try:
        figure = figure_of(settings)
    except (UserError, SettingError) as error:  # of a session: its plug-in is not here, or not that version
        return _failed(title, _slug(kind), error)
    stem = _slug(getattr(figure, "key", "") or figure.stem)

    def begin() -> Sheet:
        whole = Material(selection.table, selection.dataset, files, selection.table)
        if selection.usable.empty:
            raise NothingToDraw(f"no run of the study has ended well: {selection.outcome.text}")
        material = with_constants(whole, figure, selection).narrowed(figure.where)
        if figure.runs != "all":
            material = material.ended()
        files.pictured.update(figure.pictured(material))
        return Sheet(figure, material, stem, selection.name)

    return _guarded(title, stem, begin)


def _with_own_names(sheets: Sequence[Sheet | Embedded]) -> list[Sheet | Embedded]:
    """The same with names that no other has: "images", "images-2"."""
    found: list[Sheet | Embedded] = []
    taken: set[str] = set()
    for sheet in sheets:
        tries = (sheet.stem if n == 1 else f"{sheet.stem}-{n}" for n in range(1, len(sheets) + 1))
        stem = next(name for name in tries if name not in taken)
        taken.add(stem)
        found.append(replace(sheet, stem=stem))
    return found


def with_constants(material: Material, figure: FigureKind, selection: Selection) -> Material:
    """The same with a column for each factor that ``figure`` names and that all runs of the study share."""
    names = getattr(figure, "names", None)
    settings = (*names.factors, *names.axes) if names else ()
    wanted = [name for setting in settings for name in listed(getattr(figure, setting, None) or ())]
    wanted += [name for each in alternatives(figure.where) for name in each]
    added, names_of = {}, called(selection.constants)
    for name in wanted:
        tails = (path for path in selection.constants if name == path.rsplit(".", 1)[-1])
        path = names_of.get(name) or next(tails, "")
        if path and not material.has_column(name):
            added[name] = selection.constants[path]
    if not added:
        return material
    table = selection.table.assign(**added)
    table.attrs = {**selection.table.attrs, "factors": [*selection.table.attrs["factors"], *added]}
    return replace(material, table=table, study=table)


def figure_of(settings: Mapping[str, Any]) -> FigureKind:
    """The figure that ``settings``, ``kind`` and its fields, describe.

    Raises
    ------
    StudyError
        There is no such kind.
    SettingError
        It has not these fields.
    """
    fields = dict(settings)
    cls = registry.class_of("figures", str(fields.pop("kind", "")))
    figure: FigureKind = validate(cls, fields, ("figures",))
    return figure


def _guarded(title: str, stem: str, step: Callable[[], T]) -> T | Embedded:
    """What ``step`` gives, or in its place on the page why there is nothing."""
    try:
        return step()
    except (NothingToDraw, StudyError) as reason:
        return Embedded(title, f"Not drawn: {reason}.", "", "", stem)
    except DamagedFile as error:
        return _failed(title, stem, error)
    except UserError:
        raise
    except Exception as error:  # a mistake in one figure's code is told, and costs no other figure
        return _failed(title, stem, error)


def _failed(title: str, stem: str, error: Exception) -> Embedded:
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return Embedded(title, f"Failed: {told}", "", "", stem, failure="".join(format_exception(error)))


def _drawn(sheet: Sheet, folder: Path) -> Embedded:
    drawn = sheet.figure.draw(sheet.material)
    if not isinstance(drawn, Drawn):
        raise TypeError(f"draw gave {type(drawn).__name__}; expected Drawn")
    if sheet.figure.title:
        set_heading(drawn.figure, sheet.figure.title)
    try:
        saved = save(drawn.figure, folder / "figures" / sheet.stem)
        drawn.numbers.to_csv(folder / "numbers" / f"{sheet.stem}.csv", index=False)
        if (table := _text_table(drawn)) is not None:
            write_latex(table, folder / "numbers" / f"{sheet.stem}.tex", sheet.study)
    except Exception:
        for half in folder.glob(f"*/{sheet.stem}.*"):
            half.unlink()
        raise
    if drawn.is_photograph:
        media, content = "image/webp", picture(drawn.figure)
    else:
        media, content = "image/svg+xml", saved["svg"].read_bytes()
    source = f"data:{media};base64,{base64.b64encode(content).decode()}"
    alt = drawn.alt or f"A figure, {sheet.stem}; its numbers are in the CSV file beside it."
    return Embedded(sheet.figure.title, drawn.caption, alt, source, sheet.stem, table)


def _text_table(drawn: Drawn) -> TextTable | None:
    if drawn.table is None:
        return None
    rows = [[str(cell) for cell in row] for row in drawn.table.itertuples(index=False)]
    return TextTable([str(name) for name in drawn.table.columns], rows)


def write_latex(table: TextTable, file: Path, study: str) -> None:
    """Write ``table`` as LaTeX."""
    file.write_text(latex_table(table, study, f"ptychosuite report {study}"), encoding="utf-8")


def _slug(text: str) -> str:
    """As part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-.") or "figure"
