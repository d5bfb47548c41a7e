"""docs/json.md is true: what `--json` prints has the keys, types and exit codes that the page says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import numpy as np
import ptychosuite
import pytest
from ptychosuite.analysis.verdict import Finding, Judgement
from ptychosuite.cli import ptychosuite as program
from ptychosuite.errors import StoreError
from ptychosuite.fastforward import fine_tune as fine_tuning
from ptychosuite.fastforward.fine_tune import Scores
from ptychosuite.timing.compare import Timing

from tests.api.test_fine_tuning import folder as past_runs  # noqa: F401
from tests.api.test_fine_tuning import untrained  # noqa: F401
from tests.commands.test_about import plug_ins  # noqa: F401
from tests.conftest import REPOSITORY
from tests.faults import other_order
from tests.problems.measured import small
from tests.study.small import HEAD, carry_out, forget_names, plan_of, study_file, use_test_solvers
from tests.study.test_measured_study import write_star

PAGE = (REPOSITORY / "docs" / "json.md").read_text(encoding="utf-8")
SECTION = re.compile(r"^##+ (.*)\n((?:(?!##).*\n)*)", re.MULTILINE)
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*)\|", re.MULTILINE)
OUTCOMES = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]*)\| ([^|]*)\|$", re.MULTILINE)
SECTIONS = dict(SECTION.findall(PAGE))
SHARED = ("specification", "environment")
KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "true or false": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "object": lambda value: isinstance(value, dict),
    "list of texts": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "list of integers": lambda value: isinstance(value, list) and all(map(KINDS["integer"], value)),
    "list of numbers": lambda value: isinstance(value, list) and all(map(KINDS["number"], value)),
    "list of objects": lambda value: isinstance(value, list) and all(map(KINDS["object"], value)),
    **dict.fromkeys(SHARED, lambda value: isinstance(value, dict)),
}
AXES = "axes:\n  solver: [rpie, lbfgs]\n  seed: {range: 2}\n"
PUBLISHED = """\
published:
  - metric: phase_rmse_rad
    source: Nobody, J. Imag. 1, 2 (2026)
    tolerance: 0.05
    values: [{where: {solver: rpie}, value: 10}]
"""
HERE = ("--cluster", "none")


# What the page says


@dataclass
class Key:
    """A line of a table, with those of the keys in it."""

    kinds: tuple[str, ...] = ("object",)
    there: str = "always"
    inner: dict[str, Key] = field(default_factory=dict)

    @property
    def is_list(self) -> bool:
        return "[]" in self.inner

    def paths(self, above: str = "") -> Iterator[str]:
        """All keys below this one."""
        for name, key in self.inner.items():
            path = f"{above}{name}" if name == "[]" else f"{above}.{name}".lstrip(".")
            if name != "[]":
                yield path
            yield from key.paths(path)


def kinds_of(text: str) -> tuple[str, ...]:
    words = text.strip()
    return (words,) if words in KINDS else tuple(re.split(r", | or ", words))


def table_of(title: str) -> Key:
    """The table of a section, as a tree."""
    root = Key()
    for path, kinds, there in ROW.findall(SECTIONS[title]):
        *outer, last = re.findall(r"\[\]|[^.\[\]]+", path)
        place = root
        for name in outer:
            place = place.inner.setdefault(name, Key()) if name == "[]" else place.inner[name]
        place.inner[last] = Key(kinds_of(kinds), there.strip())
    return root


TITLES = [title for title, text in SECTIONS.items() if "| key | type |" in text]
TABLES = {title: table_of(title) for title in TITLES}
SAID = {name: rest for name, *rest in OUTCOMES.findall(SECTIONS["Exit codes"])}


def mistakes(value: Any, key: Key, path: str, seen: set[str]) -> Iterator[str]:
    """What is in ``value`` and not on the page, or on the page and not in it; keys that are there."""
    if key.is_list:
        for each in value:
            yield from mistakes(each, key.inner["[]"], f"{path}[]", seen)
    elif key.inner and value is not None:
        for name, inner in key.inner.items():
            if inner.there == "always" and name not in (*value, "*", "[]"):
                yield f"{path}.{name} is not there"
        for name, each in value.items():
            found = name if name in key.inner else "*"
            here = f"{path}.{found}".lstrip(".")
            if found not in key.inner:
                yield f"{path}.{name} is not on the page"
                continue
            inner = key.inner[found]
            seen.add(here)
            if not any(KINDS[kind](each) for kind in inner.kinds):
                yield f"{here} is {each!r}, and no {' or '.join(inner.kinds)}"
            for kind in SHARED:
                if kind in inner.kinds and each is not None:
                    yield from mistakes(each, TABLES[kind], "", set())
            yield from mistakes(each, inner, here, seen)


def strictly(text: str) -> Any:
    """JSON as its standard has it: one document, no NaN and no infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert text.isascii()
    return json.loads(text, parse_constant=refuse)


@dataclass
class Documented:
    """Calls a command and holds its documents to a table of the page."""

    command: Callable[..., tuple[int, str, str]]
    title: str
    seen: set[str] = field(default_factory=set)

    def __call__(self, *words: object, code: int = 0) -> Any:
        found, out, err = self.command(*command_of(self.title).split(), *words, "--json")
        assert found == code, err
        content, table = strictly(out), TABLES[self.title]
        assert isinstance(content, list if table.is_list else dict)
        assert [*mistakes(content, table, "", self.seen)] == []
        if code in (1, 3):
            assert SAID[command_of(self.title)][code // 3 + 1].strip(), f"{self.title}: {code} is not said"
        return content

    def all_is_seen(self, but: tuple[str, ...] = ()) -> None:
        """Nothing stands on the page that no call has printed."""
        assert {*TABLES[self.title].paths()} - self.seen == {*but}


def command_of(title: str) -> str:
    return next(name for name in SAID if title == name or title.startswith(f"{name} "))


@pytest.fixture
def documented(command) -> Callable[[str], Documented]:
    return lambda title: Documented(command, title)


def commands(group: click.Command = program, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if not isinstance(group, click.Group):
        yield name, group
        return
    context = click.Context(group)
    for each in group.list_commands(context):
        inner = group.get_command(context, each)
        assert inner is not None
        yield from commands(inner, f"{name} {each}".strip())


def has_json(command: click.Command) -> bool:
    return any("--json" in option.opts for option in command.params)


def test_every_command_is_on_the_page():
    """With `--json` in the table of exit codes and in a section, without it in the list of those."""
    with_json = {name for name, command in commands() if has_json(command)}
    assert SAID.keys() == with_json
    assert {command_of(title) for title in TITLES if title not in SHARED} == with_json
    paragraph = SECTIONS["Exit codes"].split("\n\n")[-2]
    named = {*re.findall(r"`([a-z -]+)`", paragraph)} - {"--json", "export --to csv"}
    assert named == {name for name, _ in commands()} - with_json
    unknown = {kind for table in TABLES.values() for kind in kinds_in(table)} - KINDS.keys()
    assert not unknown


def kinds_in(key: Key) -> Iterator[str]:
    for inner in key.inner.values():
        yield from inner.kinds
        yield from kinds_in(inner)


@pytest.mark.parametrize("title", TITLES)
def test_what_is_printed_is_what_the_table_of_exit_codes_says(title):
    words = SAID[command_of(title)][0] if title not in SHARED else "object"
    assert ("list" if TABLES[title].is_list else "object") in words


# A small study


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A study with its results, a baseline, and what one of its runs has found."""
    folder = tmp_path_factory.mktemp("computed")
    store, _ = carry_out(plan_of(study_file(folder, AXES)), folder / "results")
    ptychosuite.save_baseline(
        "good", folder / "tiny.yaml", results=folder / "results", baselines=folder / "results/baselines"
    )
    results = ptychosuite.open(store.root)
    run_id = results.table["run_id"].iloc[0]
    np.savez(folder / "theirs.npz", object=results.image(run_id), probe=results.probe(run_id))
    return folder


@pytest.fixture
def study(computed, tmp_path, command) -> str:
    """It in the working directory."""
    shutil.copytree(computed, tmp_path, dirs_exist_ok=True)
    return "tiny.yaml"


def cut_a_file(folder: str = "results/tiny") -> Path:
    path = next(Path(folder).glob("runs/??/*.zip"))
    path.write_bytes(path.read_bytes()[:100])
    return path


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as planted:
        planted.setattr("ptychosuite.execute.one_run.reconstruct", lambda *args: 1 / 0)
        yield


# Commands


def test_plan(documented, study):
    ask = documented("plan")
    assert ask(study)["counts"] == {"done": 4, "failed": 0, "to_do": 0}
    assert ask(study, "--first", "1")["chosen_by"] == "--first 1"
    assert ask(study, "--set", "metrics=[ssim_phase]")["runs"][0]["spec"]["metrics"] == ["ssim_phase"]
    longer = ask(study, "--why", "--set", "stop.iterations=4")
    assert {run["reasons"][0]["kind"] for run in longer["runs"]} == {"stopped sooner"}
    ask.all_is_seen()


def test_plan_says_what_its_text_says(documented, study):
    """Where the results are, that runs are tries, and what has no effect."""
    ask = documented("plan")
    assert (ask(study)["results"], ask(study)["note"], ask(study)["warnings"]) == ("results/tiny", "", [])
    Path("odd.yaml").write_text(HEAD + AXES + "exclude: [{seed: 7}]\n")
    (warning,) = ask("odd.yaml")["warnings"]
    assert "odd.yaml:9" in warning
    Path("tuned.yaml").write_text(
        HEAD + "solver: rpie\ntune: {tries: 2, over: {solver.alpha: {loguniform: [0.01, 1]}}}\n"
    )
    tries = ask("tuned.yaml")
    assert tries["study"] == "tiny.tuning"
    assert "these are tries" in tries["note"]


def test_run(documented, study, monkeypatch, tmp_path):
    ask = documented("run")
    assert ask(study, *HERE)["counts"] == {"done_before": 4, "failed": 0}
    assert ask(study, *HERE, "--set", "seed=5")["counts"]["completed"] == 2
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    assert ask(study, *HERE, "--set", "solver=diverges")["counts"]["diverged"] == 2
    forget_names()
    options = (study, *HERE, "--set", "seed={range: [6, 9]}", "--fail-fast", "1")
    with failing(monkeypatch):
        failed = ask(*options, code=1)
    assert failed["counts"] == {"done_before": 0, "failed": 1, "not_begun": 5}
    assert [*failed["failures"].values()] == ["ZeroDivisionError: division by zero"]
    assert ask(*options, code=1)["counts"]["failed_before"] == 1
    ask.all_is_seen(but=("counts.timed-out",))


def test_time_limit(documented, study, monkeypatch, tmp_path):
    """A run that reaches it counts as failed too."""
    use_test_solvers(tmp_path / "plug-ins", monkeypatch)
    options = (
        "--set",
        "solver={name: slow, seconds: 30}",
        "--first",
        "1",
        "--workers",
        "1",
        "--timeout",
        "1",
    )
    counts = documented("run")(study, *options, code=1)["counts"]
    assert counts == {"done_before": 0, "failed": 1, "timed-out": 1}
    forget_names()


@pytest.mark.skipif(find_spec("dask_jobqueue") is None, reason="dask-jobqueue is not installed")
def test_dry_run(documented, study):
    """Its runs are named by both ids, and counted as `plan` counts them."""
    ask, options = documented("run --dry-run"), (study, "--set", "seed={range: 3}")
    Path("cluster.yaml").write_text("cluster: slurm\ncores: 3\nmemory: 6GB\ninterface: lo\n")
    found = ask(*options, "--dry-run")
    planned = documented("plan")(*options)
    to_do = [run for run in planned["runs"] if run["state"] == "to do"]
    assert found["run_ids"] == [run["run_id"] for run in to_do]
    assert found["to_do"] == [run["spec_id"] for run in to_do]
    assert found["counts"] == planned["counts"]
    ask(*options, "--dry-run", "--cluster", "cluster.yaml", "--first", "5")
    ask.all_is_seen()


def test_show(documented, study, monkeypatch):
    """Every number whole; what is not known is null."""
    with failing(monkeypatch):
        documented("run")(study, *HERE, "--set", "seed=9", code=1)
    rows, run = documented("show STUDY"), documented("show STUDY RUN_ID")
    found = rows(study)
    assert len({tuple(row) for row in found}) == 1
    record = ptychosuite.open("results/tiny").record(found[0]["run_id"])
    assert found[0]["residual"] == record.metrics["residual"]
    assert found[0]["seconds"] == record.metrics["seconds"]
    rows.all_is_seen()
    run(study, found[0]["run_id"][:8])
    failed = rows("results/tiny")
    assert {row["status"] for row in failed} == {"failed"}
    assert "residual" not in failed[0]
    assert run("results/tiny", failed[0]["run_id"])["metrics"] == {}
    run.all_is_seen()


def test_small_numbers_of_a_table_are_not_rounded(command, study, monkeypatch):
    """What is far below one is no zero."""
    table = ptychosuite.open(study).table
    table["residual"] = [1.2345678901234567e-13, np.nan, np.inf, -np.inf]
    monkeypatch.setattr("ptychosuite.api.results.Results.table", table)
    rows = strictly(command("show", study, "--json")[1])
    assert [row["residual"] for row in rows] == [1.2345678901234567e-13, None, None, None]


def test_whose_results_are_shown_is_said(command, study, monkeypatch):
    monkeypatch.setattr("ptychosuite.api.results.Results.note", "other code's")
    _, out, err = command("show", study, "--json")
    strictly(out)
    assert "note: other code's" in err


def test_show_of_a_data_file(documented, command, tmp_path):
    ask = documented("show FILE")
    ask(write_star(tmp_path / "star.npz"))
    np.savez("patterns.npz", data=small.patterns(), background=np.ones((32, 32)))
    np.savez("scan.npz", xy=small.positions())
    ask("patterns.npz", "--set", "positions={path: scan.npz, key: xy}")
    np.savez("odd.npz", eins=small.patterns(), zwei=small.positions())
    assert "name it with" in ask("odd.npz", code=2)["not read"]
    ask.all_is_seen()


def test_check(documented, study, monkeypatch):
    ask = documented("check")
    assert ask(study, "--baseline", "good")["judgement"] == "good"
    file = Path("results/baselines/good.json")
    baseline = json.loads(file.read_text())
    baseline["environment"]["cpu"] = "another"
    for run in baseline["runs"]:
        run["metrics"]["residual"] /= 2
    file.write_text(json.dumps(baseline))
    worse = ask(study, "--baseline", "good", "--out", "reports", code=1)
    assert worse["against"]["changed"]["cpu"][0] == "another"
    missing = ask(study, "--baseline", "good", "--set", "solver=rpie", "--set", "seed=7", code=3)
    assert missing["judgement"] == "could not judge"
    timed = Finding("rpie", "time an iteration", Judgement.GOOD, 1.0, 1.01, 0.05, (0.9, 1.1))
    timing = Timing([timed], {"commit": "abc", "core": None})
    monkeypatch.setattr("ptychosuite.api.checking.compare_times", lambda plan, against, tell: timing)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    found = ask(study, "--time-against", "HEAD")
    assert found["against"]["time"]["commit"] == "abc"
    kept = json.loads(Path(found["file"]).read_text())
    assert kept == {key: value for key, value in found.items() if key not in ("file", "not_kept")}
    Path(study).write_text(HEAD + AXES + PUBLISHED)
    monkeypatch.setattr("ptychosuite.api.checking.keep_verdict", refuse_to_keep)
    found = ask(study, "--published")
    assert (found["file"], found["not_kept"]) == (None, "read-only")
    ask.all_is_seen()


def refuse_to_keep(*_: object) -> None:
    raise StoreError("read-only")


@pytest.mark.usefixtures("quick_figures")
def test_compare(documented, study, command):
    ask = documented("compare")
    shutil.copytree("results/tiny", "old/tiny")
    found = ask(study, "old/tiny")
    assert (found["pairs"], found["matched_by"], found["changed"]) == (4, "specification", 0)
    command("run", study, *HERE, "--results", "other", "--set", "stop.iterations=4")
    found = ask("results/tiny", "other/tiny")
    assert found["matched_by"] == "factors"
    assert found["settings"] == {"stop.iterations": ["3", "4"]}
    ask.all_is_seen()


def test_reproduce(documented, study, monkeypatch):
    ask, options = documented("reproduce"), (*HERE, "--sample", "2")
    assert ask(study, *options)["counts"] == {"identical": 2}
    assert ask(study, *options, "--backend", "torch")["counts"] == {"within tolerance": 2}
    with monkeypatch.context() as planted:
        other_order(planted)
        assert ask(study, *options, code=1)["counts"]["different"] == 1
    cut_a_file()
    found = ask("results/tiny", *HERE, "--sample", "1", code=3)
    assert found["counts"] == {"not judged": 1, "identical": 1}
    assert found["runs"][0]["spec"] is None
    ask.all_is_seen()


def test_baseline_list(documented, study):
    ask = documented("baseline list")
    (entry,) = ask()
    assert (entry["name"], entry["runs"]) == ("good", 4)
    assert ask("--baselines", "elsewhere") == []
    ask.all_is_seen()


def test_import_result(documented, study):
    ask, asked = documented("import-result"), ("--where", "seed == 0", "--label")
    said = ("--package", "p", "--version", "1", "--who", "Ada", "--note", "by night")
    assert ask(study, "theirs.npz", *asked, "theirs", *said)["new"] is True
    assert ask(study, "theirs.npz", *asked, "theirs")["new"] is False
    ask.all_is_seen()
    documented("show STUDY")(study)


def test_infinite_metrics_of_a_result_are_null(documented, study):
    theirs = np.load("theirs.npz")
    np.savez("bright.npz", object=theirs["object"], probe=np.full_like(theirs["probe"], 1e30))
    asked = ("bright.npz", "--where", "seed == 0", "--label", "bright")
    assert documented("import-result")(study, *asked)["metrics"]["residual"] is None


def test_fine_tune(documented, past_runs, untrained, monkeypatch):  # noqa: F811
    ask = documented("fine-tune")
    for name, value in (("MOST_EPOCHS", 1), ("JUDGED_AFTER", 26), ("PILOT", 4)):
        monkeypatch.setattr(fine_tuning, name, value)
    scores = iter([Scores(0.1, 0.0, np.inf), Scores(0.2, np.nan, 0.9), Scores(0.2, 0, 1), Scores(0.1, 0, 1)])
    monkeypatch.setattr(fine_tuning, "_scores", lambda *each: next(scores))
    monkeypatch.setattr(fine_tuning, "_compared", lambda *each: [1.0, 0.9])
    better = ask(past_runs, "--out", "a.safetensors", "--start", untrained)
    assert (better["better"], better["file"]) == (True, "a.safetensors")
    assert better["before"]["deviance_ratio"] is None
    assert better["after"]["probe_removed"] is None
    worse = ask(past_runs, "--out", "b.safetensors", "--start", untrained, code=1)
    assert (worse["better"], worse["file"]) == (False, None)
    ask.all_is_seen(but=("left_out.*",))


def test_clean(documented, study):
    ask = documented("clean")
    cut_a_file()
    found = ask(study)
    assert (found["done"], found["moved_to"], len(found["reasons"])) == (False, None, 1)
    assert ask(study, "--only", "failed")["found"] == {"failed": []}
    assert ask(study, "--yes")["moved_to"].startswith("results/tiny/removed/")
    ask.all_is_seen()


def test_merge(documented, study):
    ask = documented("merge")
    assert ask("elsewhere/tiny", "results/tiny")["from"]["results/tiny"]["runs"] == 4
    assert ask("elsewhere/tiny", "results/tiny")["from"]["results/tiny"]["there"] == 4
    cut_a_file()
    found = ask("third/tiny", "results/tiny", "elsewhere/tiny", code=1)
    assert len(found["from"]["results/tiny"]["damaged"]) == 1
    ask.all_is_seen()


def test_studies(documented):
    every, one = documented("studies"), documented("studies NAME")
    assert every()["studies"]["quickstart"] == one("quickstart")
    every.all_is_seen()
    one.all_is_seen()


@pytest.mark.usefixtures("plug_ins")
def test_solvers(documented):
    ask = documented("solvers")
    assert ask()["fine"]["settings"]["strength"] == "required"
    ask.all_is_seen()


@pytest.mark.usefixtures("plug_ins")
def test_doctor(documented, study):
    ask = documented("doctor")
    ask()
    assert ask(study)["results"]["runs"] == 4
    cut_a_file()
    assert len(ask("results/tiny", code=1)["results"]["damaged"]) == 1
    ask.all_is_seen()


def test_every_environment(command):
    environment = strictly(command("doctor", "--json")[1])["environment"]
    seen: set[str] = set()
    assert [*mistakes(environment, TABLES["environment"], "", seen)] == []
    assert {*TABLES["environment"].paths()} - seen <= {"git_commit", "git_dirty"}


# Nothing else on stdout


WRONG = {
    "plan": ["nope.yaml"],
    "run": ["nope.yaml"],
    "show": ["nope.yaml"],
    "check": ["nope.yaml", "--baseline", "good"],
    "compare": ["nope.yaml", "nope.yaml"],
    "reproduce": ["nope.yaml"],
    "baseline list": ["--nope"],
    "import-result": ["nope.yaml", "nope.npz", "--label", "nope"],
    "fine-tune": ["nope", "--out", "nope.safetensors"],
    "clean": ["nope.yaml"],
    "merge": ["nope", "nope"],
    "studies": ["nope"],
    "solvers": ["--nope"],
    "doctor": ["nope.yaml"],
}


@pytest.mark.parametrize("name", SAID)
def test_mistakes_print_nothing(command, name):
    """They leave with 2 and a sentence on stderr, where there is no study, and where its file is wrong."""
    wrong = WRONG[name]
    code, out, err = command(*name.split(), *wrong, "--json")
    assert (code, out) == (2, "")
    assert "nope" in err
    if "nope.yaml" in wrong:
        Path("nope.yaml").write_text(HEAD + "axes: {solver: [rpei]}\n")
        code, out, err = command(*name.split(), *wrong, "--json")
        assert (code, out) == (2, "")


CHATTY = """\
from dataclasses import dataclass
from ptychosuite.solvers.pie import RPIE

@dataclass(frozen=True)
class Chatty(RPIE):
    def __post_init__(self):
        print("chatty")
"""


@pytest.mark.parametrize("words", [["plan"], ["run", *HERE], ["show"], ["reproduce", *HERE]], ids=str)
def test_what_plug_ins_print_goes_to_stderr(command, tmp_path, monkeypatch, words):
    Path("chatty_plug_in.py").write_text(CHATTY)
    monkeypatch.syspath_prepend(str(tmp_path))
    study = study_file(tmp_path, 'solver: {name: "chatty_plug_in:Chatty"}\n')
    if words[0] in ("show", "reproduce"):
        assert "chatty" in command("run", study, *HERE)[1]
    _, out, err = command(words[0], study, *words[1:], "--json")
    strictly(out)
    assert "chatty" in err
    assert command("solvers")[1]  # stdout is as it was


def test_defaults_that_are_no_numbers(command, monkeypatch):
    """A plug-in's default may be infinite, and JSON knows no such number."""
    listed = {"endless": {"summary": "", "settings": {"limit": float("inf"), "sizes": (float("nan"), 1)}}}
    monkeypatch.setattr(ptychosuite, "available", lambda group: listed)
    settings = strictly(command("solvers", "--json")[1])["endless"]["settings"]
    assert settings == {"limit": None, "sizes": [None, 1]}


# The page itself


EXAMPLES = [
    (title, example)
    for title, text in SECTIONS.items()
    for example in re.findall(r"```json\n(.*?)```", text, re.DOTALL)
]


@pytest.mark.parametrize(("title", "example"), EXAMPLES, ids=[title for title, _ in EXAMPLES])
def test_examples_have_the_keys_of_their_table(title, example):
    """All but what is left out of a specification, an environment or a table of metrics."""
    found = [*mistakes(strictly(example), TABLES[title], "", set())]
    assert [each for each in found if not re.fullmatch(r"\.\w+ is not there", each)] == []


def test_main_commands_have_an_example():
    assert {"plan", "run", "check", "show STUDY"} <= {title for title, _ in EXAMPLES}


RECIPE = re.compile(r"^    ptychosuite (.*?)(?: \| (jq .*))?$", re.MULTILINE)


def tutorial_study() -> str:
    page = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    return re.findall(r"```yaml\n# overlap.yaml\n(.*?)```", page, re.DOTALL)[0]


@pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed")
def test_recipes(command, monkeypatch):
    """Each does what is said beside it; of the failed runs the reasons come out."""
    Path("overlap.yaml").write_text(tutorial_study())
    recipes = [found.groups() for found in RECIPE.finditer(SECTIONS["Recipes"])]
    said = [filtered(command, *recipe) for recipe in recipes]
    of_runs, failed, to_do, done, medians, _, regressions, damaged = said
    assert (of_runs, failed, to_do, done, regressions, damaged) == ("", "", "", "true\n", "", "")
    medians = [json.loads(line) for line in medians.splitlines()]
    assert [(row["solver"], row["runs"]) for row in medians] == [("magpie", 2), ("rpie", 2)]
    table = ptychosuite.open("overlap.yaml").table.groupby("solver")["error"].median()
    assert [row["error"] for row in medians] == pytest.approx(table.tolist())
    words, jq = recipes[0]
    with failing(monkeypatch):
        lines = filtered(command, f"{words} --set seed=1", jq, code=1).splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["ZeroDivisionError: division by zero"] * 4


def filtered(command: Any, words: str, jq: str | None, code: int = 0) -> str:
    """What a recipe prints."""
    found, out, err = command(*words.split())
    assert found == code, err
    if jq is None:
        return out
    done = subprocess.run(["sh", "-c", jq], input=out, capture_output=True, text=True, check=True)
    return done.stdout


def test_recipe_in_python(tmp_path):
    """It prints a median for each solver."""
    (name, text), *rest = re.findall(r"```python\n# (\S+)\n(.*?)```", SECTIONS["Recipes"], re.DOTALL)
    assert not rest
    (tmp_path / "overlap.yaml").write_text(tutorial_study())
    (tmp_path / name).write_text(text)
    (tmp_path / "bin").mkdir()
    called = tmp_path / "bin" / "ptychosuite"
    called.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ptychosuite.cli "$@"\n')
    called.chmod(0o755)
    path = {"PATH": f"{called.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY / "suite")}
    done = subprocess.run(
        [sys.executable, name], cwd=tmp_path, env={**os.environ, **path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["magpie", "rpie"]


def test_calls_of_the_page_exist():
    """Click takes their arguments."""
    known, found = dict(commands()), [words.split() for words, _ in RECIPE.findall(PAGE)]
    assert len(found) > 8
    for words in found:
        (name,) = [each for each in known if words[: len(each.split())] == each.split()]
        known[name].make_context(name, words[len(name.split()) :])
