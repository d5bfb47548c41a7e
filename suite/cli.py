"""The command line: the only module that parses arguments; it prints through ``suite.terminal``."""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click

from suite import __version__
from suite.errors import StudyError, UserError
from suite.terminal import (
    cell,
    count_runs,
    duration,
    print_table,
    print_tree,
    progress,
    size_text,
    status,
)

if TYPE_CHECKING:
    from suite.cluster.connection import ClusterKind
    from suite.cluster.sweep import Tally
    from suite.cluster.work import Terms
    from suite.core.plan import Plan

# Imports that cost time stand inside the commands that need them: --help answers at once.

INTERRUPTED = 130
SHOWN_RUNS = 40

study_argument = click.argument("study", type=click.Path(path_type=Path))
set_option = click.option(
    "--set", "settings", multiple=True, metavar="PATH=VALUE",
    help="Override a field or an axis, as in --set problem.noise=0.1 or --set 'seed={range: 2}'. Repeatable.",
)  # fmt: skip
override_option = click.option(
    "--override", "override_file", type=click.Path(path_type=Path), metavar="FILE",
    help="A YAML file of overrides: dotted paths and values, as for --set.",
)  # fmt: skip
results_option = click.option(
    "--results", default="results", show_default=True, metavar="DIR",
    help="Folder that holds a results folder for each study, or s3://BUCKET/PREFIX.",
)  # fmt: skip


def study_options(command: Any) -> Any:
    """What all commands take that plan a study."""
    for decorate in (results_option, override_option, set_option, study_argument):
        command = decorate(command)
    return command


cluster_option = click.option(
    "--cluster", default="local", show_default=True, metavar="CLUSTER",
    help="none (this process), local (worker processes here), cuda (the GPUs here), slurm, pbs, lsf, sge, "
    "a cluster file FILE.yaml, a Dask scheduler file FILE.json, tcp://HOST:PORT or tls://HOST:PORT.",
)  # fmt: skip
workers_option = click.option(
    "--workers", type=click.IntRange(min=1),
    help="Workers on this machine, or in all jobs of a batch system.  [default: one for each core here]",
)  # fmt: skip
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


class Duration(click.ParamType):  # type: ignore[type-arg]
    """Seconds from "90", "30s", "10m" or "2h"."""

    name = "duration"
    units: ClassVar = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d+\.?\d*)\s*([smh]?)", str(value).strip())
        seconds = float(match[1]) * self.units[match[2]] if match else 0.0
        if seconds == 0.0:
            self.fail(f"found '{value}'; expected a time such as 90, 30s, 10m or 2h", param, ctx)
        return seconds


class Stack(click.ParamType):  # type: ignore[type-arg]
    """A number of runs, or None for "auto"."""

    name = "runs"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        if value in (None, "auto"):
            return None
        if not str(value).isdigit() or int(value) == 0:
            self.fail(f"found '{value}'; expected a number of runs, or auto", param, ctx)
        return int(value)


class Commands(click.Group):
    """Commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ptychosuite")
def ptychosuite() -> None:
    """Benchmark ptychographic reconstruction, reproducibly.

    A study file says what to reconstruct and what to vary. Results land in results/STUDY, reports in
    reports/STUDY. A run that is done is never computed again.

    \b
        ptychosuite plan studies/quickstart.yaml
        ptychosuite run studies/quickstart.yaml --cluster local
        ptychosuite report studies/quickstart.yaml
    """


@ptychosuite.command()
@study_options
@click.option("--all", "show_all", is_flag=True, help="List every run.")
@json_option
def plan(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    show_all: bool,
    as_json: bool,
) -> None:
    """Check STUDY and show its runs, what is done and what the rest will cost. Runs nothing."""
    from suite.store.layout import Store, results_of
    from suite.store.read import Inventory, inventory
    from suite.study.estimate import estimate

    planned = _plan(study, settings, override_file)
    root = results_of(results, planned.name)
    store = Store.find(root)
    held = inventory(store) if store else Inventory({}, {})
    remaining = planned.remaining(held.done)
    cost = estimate(remaining)
    if as_json:
        runs = [
            {"run_id": run_id, "spec_id": spec.spec_id, "state": _state(run_id, held), "spec": spec.to_dict()}
            for spec, run_id in zip(planned.runs, planned.run_ids, strict=True)
        ]
        content = {
            "study": planned.name,
            "runs": runs,
            "remaining": len(remaining),
            "cpu_seconds_at_most": cost.cpu_seconds,
            "disk_bytes": cost.disk_bytes,
            "memory_bytes": cost.memory_bytes,
        }
        click.echo(json.dumps(content, indent=1))
        return
    _print_runs(planned, held, None if show_all else SHOWN_RUNS)
    done = len(planned.runs) - len(remaining)
    click.echo(f"\n{planned.title}: {count_runs(planned.runs)}, {done} done, {len(remaining)} to do")
    if remaining:
        click.echo(
            f"at most {duration(cost.cpu_seconds)} on one core of this machine, "
            f"about {size_text(cost.memory_bytes)} of memory a run, "
            f"{size_text(cost.disk_bytes)} on disk in {root}"
        )


@ptychosuite.command()
@study_options
@cluster_option
@workers_option
@click.option(
    "--lane", type=click.Choice(["timing", "throughput"]), default="timing", show_default=True,
    help="timing: each run alone on its core or device. throughput: as many as fit; times mean nothing.",
)  # fmt: skip
@click.option(
    "--stack", type=Stack(), default="auto", show_default=True, metavar="N",
    help="Throughput lane: runs of equal shape to advance side by side on a device. auto: 32 on a GPU or 1.",
)  # fmt: skip
@click.option("--timeout", type=Duration(), help="Stop a run after this time: 90, 30s, 10m, 2h.")
@click.option(
    "--retries", type=click.IntRange(min=0), default=1, show_default=True,
    help="Times to try a run again whose worker died under it.",
)  # fmt: skip
@click.option("--retry-failed", is_flag=True, help="Try failed runs again.")
@click.option("--dry-run", is_flag=True, help="Say what would run, with a batch system's job script; stop.")
@json_option
def run(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    cluster: str,
    workers: int | None,
    lane: str,
    stack: int | None,
    timeout: float | None,
    retries: int,
    retry_failed: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Carry out the runs of STUDY that are not done yet."""
    from suite.cluster.settings import cluster_settings
    from suite.cluster.sweep import Tally, to_do
    from suite.cluster.work import Terms
    from suite.core.run import Lane
    from suite.store.layout import Store, results_of
    from suite.study.estimate import footprint

    kind = cluster_settings(cluster, workers)
    terms = Terms(Lane(lane), timeout, retries, footprint, stack)
    _check_terms(terms, kind)
    if not dry_run:
        kind.prepare()
    planned = _plan(study, settings, override_file)
    if kind.on_this_machine:
        _check_backends(planned)
        _check_memory(planned, kind)
    root = results_of(results, planned.name)
    if dry_run:
        begun = Store.find(root)
        specs = to_do(planned, begun, retry_failed) if begun else planned.runs
        _print_dry_run(planned, specs, root, kind.job_script(), as_json)
        return
    store = Store.create(root)
    specs = to_do(planned, store, retry_failed)
    done = len(planned.runs) - len(specs)
    click.echo(f"{planned.title}: {count_runs(planned.runs)}, {done} done, {len(specs)} to do", err=as_json)
    tally = Tally(total=0, done_before=done)
    if specs:
        tally = _sweep(planned, store, specs, kind, terms, quiet=as_json)
    else:
        from suite.store.compact import compact

        compact(store)
    failures = _failed_runs(planned, store)
    if as_json:
        counts = {"done_before": done, "failed": len(failures), **tally.counts}
        click.echo(json.dumps({"study": planned.name, "results": root, "counts": counts}))
    else:
        _print_outcome(planned, tally, root, failures, study)
    if failures:
        sys.exit(1)


@ptychosuite.command()
@study_options
@cluster_option
@workers_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="FILE",
    help="Copy the checkpoint to this .safetensors file as well.",
)  # fmt: skip
def train(
    study: Path,
    settings: tuple[str, ...],
    override_file: Path | None,
    results: str,
    cluster: str,
    workers: int | None,
    out: Path | None,
) -> None:
    """Train the fast-forward operator on the runs of STUDY, as its section 'train' says.

    Runs that are not done yet are carried out first. A training that was stopped goes on where it stopped.
    """
    from suite.cluster.settings import cluster_settings
    from suite.cluster.sweep import to_do
    from suite.cluster.work import Terms
    from suite.store.layout import Store, results_of
    from suite.study.load import load_study
    from suite.study.training import training_settings

    if "://" in results:
        raise UserError(f"training reads and keeps files on this machine; {results} is no folder here")
    kind = cluster_settings(cluster, workers)
    chosen = training_settings(load_study(study))
    planned = _plan(study, settings, override_file)
    store = Store.create(results_of(results, planned.name))
    specs = to_do(planned, store, retry_failed=False)
    click.echo(f"{planned.title}: {count_runs(planned.runs)}, {len(specs)} to do")
    if specs:
        _sweep(planned, store, specs, kind, Terms(), quiet=False)
    checkpoint = _train(planned, store, chosen, Path(results) / planned.name / "training")
    if out:
        from suite.fastforward.checkpoint import write_atomically

        write_atomically(out, checkpoint.read_bytes())
    click.echo(f"checkpoint: {out or checkpoint}")


@ptychosuite.command()
@study_options
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports"), show_default=True, metavar="DIR",
    help="Folder that gets a report folder for each study.",
)  # fmt: skip
def report(
    study: Path, settings: tuple[str, ...], override_file: Path | None, results: str, out: Path
) -> None:
    """Draw the figures of STUDY and write its report.

    STUDY is a study file or a results folder; from a results folder the latest session is reported, and no
    study file is needed.
    """
    from suite.analysis.selection import selection_of_plan, selection_of_store
    from suite.report.page import write_report

    if study.is_dir():
        if settings or override_file:
            raise UserError("--set and --override go with a study file, not with a results folder")
        selection = selection_of_store(study)
    else:
        selection = selection_of_plan(_plan(study, settings, override_file), results)
    with status("drawing"):
        page = write_report(selection, out)
    click.echo(f"report: {page}")


@ptychosuite.command()
@study_argument
@click.argument("run_id", required=False)
@results_option
@click.option(
    "--out", type=click.Path(path_type=Path), metavar="PNG",
    help="Of a data file: draw scan and mean pattern into this picture.",
)  # fmt: skip
@json_option
def show(study: Path, run_id: str | None, results: str, out: Path | None, as_json: bool) -> None:
    """Show how the runs of STUDY (a study file or a results folder) ended, or all about one run.

    RUN_ID may be shortened to its first digits. Where STUDY is a data file (CXI, NeXus, ptyd, HDF5, NPZ,
    MAT), say what it holds.
    """
    if study.is_file() and study.suffix not in (".yaml", ".yml"):
        _show_data_file(study, out, as_json)
        return
    from suite.store.layout import Store, results_of
    from suite.store.read import inventory, read_run
    from suite.study.load import load_study

    root = str(study) if study.is_dir() else results_of(results, load_study(study).name)
    store = Store.open(root)
    if run_id is None:
        _show_store(store, as_json)
        return
    held = inventory(store)
    files = {**held.failed, **held.done}
    matches = [name for name in files if name.startswith(run_id)]
    if len(matches) != 1:
        raise UserError(
            f"{len(matches)} runs of {root} have an id that begins with '{run_id}'; "
            f"list them with: ptychosuite show {study}"
        )
    record = read_run(files[matches[0]], images=False)
    content = {
        "run_id": record.run_id,
        "status": str(record.status),
        "message": record.message,
        "file": str(files[matches[0]]),
        "metrics": {name: _finite(value) for name, value in record.metrics.items()},
        "spec": record.spec.to_dict(),
        "provenance": record.provenance,
    }
    if as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        print_tree(content)


@ptychosuite.command()
def schema() -> None:
    """Print the JSON Schema of study files, for editors."""
    from suite.study.json_schema import study_schema

    click.echo(json.dumps(study_schema(), indent=1))


@ptychosuite.command()
@json_option
def solvers(as_json: bool) -> None:
    """List the solvers with their settings and defaults."""
    import dataclasses
    import inspect

    from suite.core import registry

    listing: dict[str, dict[str, Any]] = {}
    for name in registry.names("solvers"):
        cls = registry.settings_class("solvers", name)
        fields = {f.name: f.default for f in dataclasses.fields(cls)}
        summary = (inspect.getdoc(cls) or "").split("\n")[0]
        listing[name] = {"summary": summary, "settings": fields}
    if as_json:
        click.echo(json.dumps(listing, indent=1))
        return
    for name, entry in listing.items():
        given = ", ".join(f"{key}: {value}" for key, value in entry["settings"].items())
        click.echo(f"{name:8} {entry['summary']}\n{'':8} {{name: {name}{', ' + given if given else ''}}}")


@ptychosuite.command()
@json_option
def doctor(as_json: bool) -> None:
    """Say what this machine and this installation can do."""
    from suite.core.arrays import BACKENDS, backend
    from suite.errors import BackendError
    from suite.execute.provenance import environment

    backends = {}
    for name in BACKENDS:
        try:
            found = backend(name)
            backends[name] = found.device_description().get("gpu_model", "available")
        except BackendError as error:
            backends[name] = f"not available: {error}"
    content = {"backends": backends, "environment": environment()}
    if as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        print_tree(content)


def _plan(study: Path, settings: Sequence[str], override_file: Path | None) -> Plan:
    from suite.study.load import load_overrides, load_study, parse_override
    from suite.study.plan import make_plan

    if study.is_dir():
        raise StudyError(f"{study} is a folder; name a study file, as in studies/quickstart.yaml")
    overrides = [*(load_overrides(override_file) if override_file else ()), *map(parse_override, settings)]
    return make_plan(load_study(study, overrides))


def _check_backends(planned: Plan) -> None:
    from suite.core.arrays import backend

    for name in {spec.backend for spec in planned.runs}:
        backend(name)


def _check_terms(terms: Terms, kind: ClusterKind) -> None:
    """Refuse what cannot be promised."""
    from suite.cluster.workers import usable_cores
    from suite.core.run import Lane

    if kind.cluster == "none" and terms.timeout_s is not None:
        raise UserError(
            "--timeout needs a worker process that can be ended, and --cluster none has none; "
            "say --cluster local --workers 1"
        )
    if terms.lane is Lane.TIMING and (terms.stack or 1) > 1:
        raise UserError(
            f"--stack {terms.stack}: runs side by side have no times of their own; add --lane throughput"
        )
    workers = kind.processes_here
    if terms.lane is Lane.TIMING and workers > usable_cores():
        raise UserError(
            f"{workers} workers: the timing lane gives each of them a core of its own, and there are "
            f"{usable_cores()}; take fewer workers, or --lane throughput"
        )


def _check_memory(planned: Plan, kind: ClusterKind) -> None:
    """Refuse a study of which no run fits on this computer; single ones are refused as their turn comes."""
    from suite.execute.memory import machine_memory_bytes
    from suite.study.estimate import footprint

    share = machine_memory_bytes() / kind.processes_here
    lacks = [footprint(spec).lack(share, None) for spec in planned.runs]
    if all(lacks):
        hint = " for each worker; take fewer workers or a larger computer" if kind.processes_here > 1 else ""
        raise UserError(f"no run fits: the first {lacks[0]}{hint}")


def _sweep(
    planned: Plan, store: Any, specs: Sequence[Any], kind: ClusterKind, terms: Terms, quiet: bool
) -> Tally:
    from suite.cluster.sweep import sweep

    signal.signal(signal.SIGTERM, _interrupt)  # a batch system's polite request ends like Ctrl-C
    try:
        with ExitStack() as stack:
            with status("starting the cluster"):
                connection = stack.enter_context(kind.connect())
            if connection.dashboard:
                click.echo(f"{connection.description}; dashboard: {connection.dashboard}", err=quiet)
            update = stack.enter_context(progress(len(specs)))
            return sweep(planned, store, specs, connection, sys.argv, update, terms)
    except KeyboardInterrupt:
        click.echo(
            "\nstopped; finished runs are kept. The same command goes on where this one stopped.", err=True
        )
        sys.exit(INTERRUPTED)


def _train(planned: Plan, store: Any, chosen: Any, folder: Path) -> Path:
    """Train on the runs that the store holds; the checkpoint's path."""
    from suite.core.run import digest
    from suite.execute.provenance import environment
    from suite.fastforward.pairs import pairs_of
    from suite.fastforward.train import train
    from suite.report.training import draw_training
    from suite.store.read import inventory, read_run

    done = inventory(store).done
    runs = [run_id for run_id in planned.run_ids if run_id in done]
    with status("reading pairs"):
        pairs = pairs_of(read_run(done[run_id]) for run_id in runs)
    card = {"study": planned.text, "overrides": list(planned.overrides), "runs": digest(runs)}
    code = {key: environment().get(key) for key in ("ptychosuite", "code", "git_commit")}

    def update(figures: Mapping[str, float]) -> None:
        click.echo(
            f"epoch {figures['epoch']:.0f} of {chosen.epochs}: loss {figures['train_loss']:.4f}, validation "
            f"{figures['validation_loss']:.4f}; removed of the squared distance: object "
            f"{figures['object_removed']:.1%}, probe {figures['probe_removed']:.1%}"
        )

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        checkpoint = train(pairs, chosen, {**card, **code}, folder, update)
    except KeyboardInterrupt:
        click.echo("\nstopped; the same command goes on after the last epoch that was finished.", err=True)
        sys.exit(INTERRUPTED)
    draw_training(folder / "metrics.json")
    return checkpoint


def _interrupt(signal_number: int, frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _failed_runs(planned: Plan, store: Any) -> list[str]:
    from suite.store.read import inventory

    failed = inventory(store).failed
    return [run_id for run_id in planned.run_ids if run_id in failed]


def _print_dry_run(planned: Plan, specs: Sequence[Any], root: str, job_script: str, as_json: bool) -> None:
    done = len(planned.runs) - len(specs)
    if as_json:
        content = {"study": planned.name, "results": root, "done": done}
        script = {"job_script": job_script} if job_script else {}
        click.echo(json.dumps(content | {"to_do": [spec.spec_id for spec in specs]} | script))
    else:
        click.echo(f"{planned.title}: {count_runs(planned.runs)}, {done} done, {len(specs)} to do in {root}")
        if job_script:
            click.echo(f"\n{job_script}")


def _print_outcome(planned: Plan, tally: Tally, root: str, failures: Sequence[str], study: Path) -> None:
    counts = ", ".join(f"{count} {status}" for status, count in sorted(tally.counts.items()))
    click.echo(f"{counts or 'nothing to do'}; results: {root}/study.zarr")
    if failures:
        click.echo(
            f"{len(failures)} of {count_runs(planned.runs)} failed; see why with: ptychosuite show {study} "
            f"{failures[0]}\ntry them again with: ptychosuite run {study} --retry-failed",
            err=True,
        )


def _print_runs(planned: Plan, held: Any, limit: int | None) -> None:
    from suite.core.factors import factor_names, factor_value

    names = factor_names(planned.factors)
    rows = []
    pairs = list(zip(planned.runs, planned.run_ids, strict=True))
    for spec, run_id in pairs[:limit]:
        leaves = spec.leaves()
        values = [factor_value(leaves, path) for path in names]
        shown = [
            "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
            for value in values
        ]
        rows.append([run_id[:8], *shown, str(spec.stop["iterations"]), _state(run_id, held)])
    print_table(["run", *names.values(), "iterations", "state"], rows)
    if limit is not None and len(pairs) > limit:
        click.echo(f"... and {len(pairs) - limit} more (--all lists them)")


def _state(run_id: str, held: Any) -> str:
    return "done" if run_id in held.done else "failed" if run_id in held.failed else "to do"


def _show_data_file(file: Path, out: Path | None, as_json: bool) -> None:
    from suite.problems.measured import MeasuredFile, describe

    measurement = MeasuredFile(path=str(file.resolve())).read()
    content = describe(measurement)
    if as_json:
        click.echo(json.dumps(content, indent=1))
    else:
        print_tree(dict(content))
    if out:
        from suite.report.measurement import draw_measurement

        mean = measurement.diffraction_intensity.mean(axis=0, dtype="float64")
        draw_measurement(file.name, measurement.scan_positions_px, mean, measurement.probe, out)
        click.echo(f"picture: {out}", err=as_json)


def _show_store(store: Any, as_json: bool) -> None:
    from suite.analysis.tables import run_table

    table = run_table(store)
    if as_json:
        click.echo(table.to_json(orient="records", indent=1))
        return
    columns = [name for name in ("residual", "error", "iterations", "seconds") if name in table]
    factors = [str(name) for name in table.attrs["factors"] if table[name].nunique(dropna=False) > 1]
    shown = table[["run_id", "status", *factors, *columns]]
    rows = [[str(run_id)[:8], *map(cell, rest)] for run_id, *rest in shown.itertuples(index=False)]
    print_table(["run", *map(str, shown.columns[1:])], rows)
    counts = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
    click.echo(f"\n{count_runs(table)} in {store.root}: {counts}")


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None


def main() -> None:
    """Entry point of the command ``ptychosuite``."""
    try:
        ptychosuite()
    except UserError as error:
        click.echo(f"ptychosuite: {error}", err=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
