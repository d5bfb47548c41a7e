"""Where results come from, in words: how to have them again, what the runs had in common, what went wrong."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import pandas as pd

from ptychosuite.analysis.conditions import ALL, condition_labels
from ptychosuite.analysis.labels import line_labels, value_text
from ptychosuite.analysis.outcomes import ABOVE_START, MISSING, above_start
from ptychosuite.analysis.selection import Selection
from ptychosuite.core.reason import reason_of
from ptychosuite.core.runs import RunRecord, Status
from ptychosuite.reporting.figures.material import RunFiles
from ptychosuite.reporting.page_content import Trouble
from ptychosuite.store.planned import RUN_IDS
from ptychosuite.store.read import sessions

OF_ONE_RUN = ("start", "end", "process", "cores")  # no part of what runs have in common
SAMPLE = 200  # runs whose records are asked what they have in common
MOST_TROUBLES = 200  # of each kind
BUNDLE = "the bundle "  # begins what the page calls the results of a bundle
LIBRARIES = ("numpy", "scipy", "torch", "cupy-cuda13x", "ptychi", "cdtools-py", "ptylab")  # that are named


def records_of(selection: Selection, files: RunFiles) -> list[RunRecord]:
    """The records of the runs, or of a sample of many, spread over all."""
    paths = selection.stored["path"]
    return [files.run(path) for path in paths.iloc[:: max(1, len(paths) // SAMPLE)]]


def provenance(records: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """What -> its different values over ``records``."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for key, value in readable(record.provenance).items():
            found.setdefault(key, {})[value] = None
    return [(key, list(values)) for key, values in found.items()]


def readable(of_run: Mapping[str, Any]) -> dict[str, str]:
    """The provenance of a run in words."""
    return {
        key.replace("_", " "): _in_words(key, value)
        for key, value in of_run.items()
        if key not in OF_ONE_RUN and value not in ({}, [], "", None)
    }


def _in_words(key: str, value: Any) -> str:
    if key.endswith("_bytes"):
        return f"{value / 1e9:.3g} GB"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_in_words(str(name), found)}" for name, found in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_in_words(key, each) for each in value)
    return str(value)


def reproduce(selection: Selection, records: Sequence[RunRecord], source: str) -> list[tuple[str, str]]:
    """How to compute the same again: command, commit, environment, hardware, bundle."""
    shown = {*selection.study.get(RUN_IDS, ())}
    planned = (each for each in sessions(selection.store) if not shown or shown & {*each.get(RUN_IDS, shown)})
    *_, session = [{}, *planned]
    command = session.get("command", [])
    found = [("command", _command(command))] if command else []
    commits = {
        f"{record.provenance['git_commit']}{' with changes' if record.provenance.get('git_dirty') else ''}"
        for record in records
        if record.provenance.get("git_commit")
    }
    found.append(("commit", _listed(sorted(commits)) or "not known: not computed in a git checkout"))
    found.append(("environment", _listed(map(_environment, records))))
    found.append(("hardware", _listed(map(_hardware, records))))
    if source.startswith(BUNDLE):
        found.append(("bundle", f"ptychosuite reproduce {_address(source)}"))
    else:
        found.append(("bundle", f"ptychosuite export {_address(source)} --to crate --license CC-BY-4.0"))
    return found


def _command(words: Sequence[str]) -> str:
    """As one would type it: ours by its name, also where Python was told to run it, another's by its file."""
    program, *arguments = words
    name = PurePath(program).name
    return shlex.join(["ptychosuite" if name == "cli.py" else name, *arguments])


def _address(source: str) -> str:
    """What the page calls the results, as a word of a command."""
    return shlex.quote(source.removeprefix(BUNDLE))


def _listed(values: Iterable[str]) -> str:
    return "; ".join(value for value in dict.fromkeys(values) if value)


def _environment(record: RunRecord) -> str:
    packages = record.provenance.get("packages", {})
    named = [f"{name} {packages[name]}" for name in LIBRARIES if packages.get(name)]
    known = (("ptychosuite", "ptychosuite"), ("Python", "python"))
    versions = [f"{name} {record.provenance[key]}" for name, key in known if record.provenance.get(key)]
    return ", ".join([*versions, *named])


def _hardware(record: RunRecord) -> str:
    known = record.provenance
    parts = [str(known.get("device") or ""), str(known.get("cpu") or "")]
    if known.get("cpu_count"):
        parts.append(f"{known['cpu_count']} cores")
    if known.get("memory_bytes"):
        parts.append(f"{known['memory_bytes'] / 1e9:.3g} GB")
    return ", ".join(part for part in parts if part)


def run_labels(table: pd.DataFrame) -> pd.Series:
    """Each run by what the study varies: line, condition and seed."""
    parts = [line_labels(table, "solver")]
    found = condition_labels(table)
    if not (found == ALL).all():
        parts.append(found)
    if table["seed"].nunique() > 1:
        parts.append("seed " + table["seed"].map(value_text))
    first, *others = parts
    return first.str.cat(others, sep=" · ") if others else first


def command_for(run: Mapping[Any, Any], source: str) -> str:
    """The command that shows more of a run, or that would compute it."""
    if run["status"] == MISSING:
        return "ptychosuite run STUDY"
    return f"ptychosuite show {_address(source)} {run['run_id']}"


def troubles(selection: Selection, files: RunFiles, source: str) -> list[Trouble]:
    """The runs that did not complete or ended above their start; the first of each kind if there are many."""
    labels = run_labels(selection.table)
    told = selection.table["status"].mask(above_start(selection.table), ABOVE_START)
    away = selection.table.assign(status=told)[told != Status.COMPLETED]
    found = []
    for _, members in away.groupby("status", sort=True):
        for place, run in members.head(MOST_TROUBLES).iterrows():
            message = told_first(files.run(run["path"]).message) if run["path"] else "no result yet"
            command = command_for(run, source)
            found.append(Trouble(labels[place], str(run["status"]), message, str(run["run_id"]), command))
    return found


def told_first(message: str) -> str:
    """A message whose traceback, if it has one, comes after what it ends with."""
    text, reason = message.strip(), reason_of(message)
    return text if text.startswith(reason) else f"{reason}\n\n{text}"
