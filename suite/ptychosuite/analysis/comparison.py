"""Two stores side by side: whose runs are the same, and what differs between them beyond rounding.

Runs are paired by their specification. Where none has the same in both stores (another backend, another
default), they are paired by the factors that vary within a store; what differs between the stores themselves
is told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ptychosuite.analysis.baseline import figures_of
from ptychosuite.analysis.labels import value_text
from ptychosuite.analysis.outcomes import MISSING, Outcome
from ptychosuite.analysis.quality import Compared, run_findings
from ptychosuite.analysis.repetition import varying_paths
from ptychosuite.analysis.rounding import changes, rounding_changes
from ptychosuite.analysis.tables import are_imported, open_dataset, table_of
from ptychosuite.analysis.verdict import Judgement
from ptychosuite.core.plan import Tolerances
from ptychosuite.core.runs import Lane, RunRecord, RunSpec, Status
from ptychosuite.errors import StoreError
from ptychosuite.metrics.metric import Metric, known_metrics
from ptychosuite.registry.factors import factor_names, factor_value, fast_forward_as_one, is_hash
from ptychosuite.registry.lookup import solver_label
from ptychosuite.store.layout import Store
from ptychosuite.store.read import read_run

HARDWARE = ("cpu", "cpu_count", "gpu_model")
ORIGIN = {
    "git_commit": "commit", "code": "code", "ptychosuite": "ptychosuite", "python": "python", "host": "host",
    "cpu": "processor", "gpu_model": "GPU", "lane": "lane",
}  # fmt: skip
SHOWN_VALUES = 4  # of one entry of the origin
HASHES = {"git_commit": 12, "code": 12}  # digits that are shown
CHANGES = {Judgement.REGRESSION: "worse", Judgement.IMPROVEMENT: "better"}
APART = ("seed", "fast_forward")  # from the condition


@dataclass(frozen=True)
class StoreRuns:
    """The runs of one study in one store."""

    name: str
    source: str  # where they are
    planned: Sequence[str]  # spec_ids
    records: Mapping[str, RunRecord]  # spec_id -> what came of it, without images
    specs: Mapping[str, RunSpec]  # of the planned runs, as far as they are known

    @classmethod
    def of(
        cls, name: str, source: str, store: Store, study: Mapping[str, Any], specs: Iterable[RunSpec] = ()
    ) -> StoreRuns:
        """What ``store`` has of the runs of ``study``, in the words of a session.

        Raises
        ------
        StoreError
            There is none, or one cannot be read.
        """
        planned = study["spec_ids"]
        table = table_of(open_dataset(store, study), planned)
        elsewhere = {*table["spec_id"][are_imported(table)]}  # a bundle plans them with the others
        planned = [spec_id for spec_id in planned if spec_id not in elsewhere]
        table = table[~are_imported(table)]
        there = table[(table["path"] != "") & (table["status"] != MISSING)].dropna(subset="path")
        records = {
            row.spec_id: read_run(store.root / row.path, images=False)
            for row in there[["spec_id", "path"]].itertuples(index=False)
        }
        if not records:
            raise StoreError(
                f"{source} has no runs of this study yet; run it first with: ptychosuite run STUDY"
            )
        known = {spec.spec_id: spec for spec in specs} or {i: record.spec for i, record in records.items()}
        return cls(name, source, tuple(planned), records, known)

    def status(self, spec_id: str) -> str:
        """How a planned run ended; "missing" where it is not there."""
        return str(self.records[spec_id].status) if spec_id in self.records else MISSING

    @property
    def outcome(self) -> Outcome:
        """Of all planned runs."""
        done = [self.records[i] for i in self.planned if self.status(i) == Status.COMPLETED]
        risen = sum(record.metrics.get("above_start") == 1 for record in done)
        return replace(Outcome.of(map(self.status, self.planned)), above_start=risen)


class GroupKey(NamedTuple):
    """Where a run stands in the tables."""

    condition: str  # "noise 0.05"
    line: str  # "MAGPIE (levels 7)"


@dataclass(frozen=True)
class RunPair:
    """A run in both stores."""

    place: GroupKey
    label: str  # with the seed
    a: RunRecord
    b: RunRecord

    @property
    def is_complete(self) -> bool:
        """Whether both have completed, so that their figures are compared."""
        return self.a.status is Status.COMPLETED and self.b.status is Status.COMPLETED

    @cached_property
    def judgements(self) -> Mapping[str, Judgement]:
        """Metric -> whether B is better or worse than A by more than the coarser precision explains."""
        origins = [{**record.provenance, "backend": record.spec.backend} for record in (self.a, self.b)]
        alike = not rounding_changes(changes(*origins)) and self.a.spec.dtype == self.b.spec.dtype
        before, now = (figures_of(record, self.label) for record in (self.a, self.b))
        coarser = min((self.a.spec, self.b.spec), key=lambda spec: np.dtype(spec.dtype).itemsize)
        compared = Compared(before, now, coarser, alike, Tolerances())
        return {finding.quantity: finding.judgement for finding in run_findings(compared)}

    def change(self, metric: str) -> str:
        """ "better" or "worse", where B's value is so by more than rounding explains."""
        return CHANGES.get(self.judgements.get(metric, Judgement.GOOD), "")

    @property
    def changed(self) -> list[str]:
        """What differs beyond rounding: "status", "first iterations", "residual at 10", "error"."""
        return [quantity for quantity, judgement in self.judgements.items() if judgement in CHANGES]

    @property
    def untimed(self) -> str:
        """Why times of the two are not comparable; empty where they are."""
        if any(record.provenance.get("lane") == Lane.THROUGHPUT for record in (self.a, self.b)):
            return "throughput lane"
        hardware = [[record.provenance.get(name) for name in HARDWARE] for record in (self.a, self.b)]
        return "" if hardware[0] == hardware[1] else "other hardware"


@dataclass(frozen=True)
class MetricChange:
    """One metric of one condition and line: medians over the pairs that completed in both stores.

    ``a`` and ``b`` are None where there is none, infinite where at least half never get there.
    """

    metric: Metric
    a: float | None = None
    b: float | None = None
    pairs: int = 0  # behind the medians: both have a number
    compared: int = 0  # pairs of which at least one has a number
    better: int = 0  # of these, in which B is better, by more than rounding explains
    worse: int = 0
    note: str = ""  # why there are no numbers

    @property
    def ratio(self) -> float | None:
        """B over A; None where there is none."""
        if self.a is None or self.b is None or not np.isfinite([self.a, self.b]).all() or self.a == 0:
            return None
        return self.b / self.a


@dataclass(frozen=True)
class ComparedGroup:
    """One condition and line in both stores."""

    place: GroupKey
    a: Outcome
    b: Outcome
    changes: Sequence[MetricChange]
    pairs: int
    changed: Mapping[str, int]  # what differs beyond rounding -> in how many pairs, the most frequent first
    changed_pairs: int


@dataclass(frozen=True)
class StoreComparison:
    """Two stores side by side."""

    a: StoreRuns
    b: StoreRuns
    pairs: Sequence[RunPair]
    only_a: int  # runs that are there in A and have no partner in B
    only_b: int
    by_factors: bool  # no run has the same specification in both
    settings: Mapping[str, tuple[str, str]]  # dotted path -> what all runs of A and of B have differently
    groups: Sequence[ComparedGroup]
    metrics: Sequence[Metric]  # those of the groups' changes, in their order

    @property
    def changed(self) -> int:
        """Pairs that differ beyond rounding, or ended differently."""
        return sum(group.changed_pairs for group in self.groups)

    @cached_property
    def origin(self) -> list[tuple[str, str, str]]:
        """What the runs of A and of B come from: name, A, B; packages where they differ."""
        found = [(label, _values(self.a, key), _values(self.b, key)) for key, label in ORIGIN.items()]
        of_a, of_b = _packages(self.a), _packages(self.b)
        for name in sorted({*of_a, *of_b}):
            a, b = _in_words(of_a.get(name, ())), _in_words(of_b.get(name, ()))
            if a != b:
                found.append((name, a, b))
        return [row for row in found if row[1] or row[2]]

    def table(self) -> pd.DataFrame:
        """One row a pair: how both ended, and of each metric the values, their ratio and what changed."""
        rows = []
        for pair in self.pairs:
            row: dict[str, Any] = {
                "condition": pair.place.condition, "line": pair.place.line, "seed": pair.a.spec.seed,
                "spec_id_a": pair.a.spec.spec_id, "spec_id_b": pair.b.spec.spec_id,
                "status_a": str(pair.a.status), "status_b": str(pair.b.status),
                "changed": "; ".join(pair.changed), "times_comparable": not pair.untimed,
            }  # fmt: skip
            for metric in self.metrics:
                a, b = (record.metrics.get(metric.name, np.nan) for record in (pair.a, pair.b))
                row |= {f"{metric.name}_a": a, f"{metric.name}_b": b}
                row[f"{metric.name}_ratio"] = b / a if a and not (metric.is_time and pair.untimed) else np.nan
                row[f"{metric.name}_change"] = pair.change(metric.name)
            rows.append(row)
        return pd.DataFrame(rows)


def compare_stores(a: StoreRuns, b: StoreRuns) -> StoreComparison:
    """RunPair the runs of two stores and compare them.

    Raises
    ------
    StoreError
        No run has a partner.
    """
    partners = {spec_id: spec_id for spec_id in a.planned if spec_id in {*b.planned}}
    by_factors = not partners
    if by_factors:
        partners = _partners_by_factors(a, b)
    if not any(i in a.records and j in b.records for i, j in partners.items()):
        raise StoreError(f"no run of {a.source} has a partner in {b.source}; compare stores of one study")
    a_specs = {**{i: b.specs[i] for i in a.planned if i in b.specs}, **a.specs}
    b_specs = {**{i: a.specs[i] for i in b.planned if i in a.specs}, **b.specs}
    of_a, of_b = [*a_specs.values()], [*b_specs.values()]
    placing = Placing.of(of_a, of_b) if by_factors else Placing.of([*of_a, *of_b])
    there = [(a.records[i], b.records[j]) for i, j in partners.items() if i in a.records and j in b.records]
    pairs = [RunPair(placing.place(x.spec), placing.label(x.spec), x, y) for x, y in there]
    metrics = [
        metric
        for metric in known_metrics()
        if metric.in_summary and any(metric.name in pair.a.metrics for pair in pairs)
    ]
    return StoreComparison(
        a=a,
        b=b,
        pairs=pairs,
        only_a=len(a.records) - len(pairs),
        only_b=len(b.records) - len(pairs),
        by_factors=by_factors,
        settings=_settings(of_a, of_b, placing.paths),
        groups=list(_groups(placing, (a, a_specs), (b, b_specs), pairs, metrics)),
        metrics=metrics,
    )


@dataclass(frozen=True)
class Placing:
    """By what runs are told apart: the dotted paths that vary within a store, with their short names."""

    paths: Mapping[str, str]
    telling: Mapping[str, frozenset[str]]  # solver -> its settings that vary

    @classmethod
    def of(cls, *sides: Sequence[RunSpec]) -> Placing:
        varying = dict.fromkeys(path for specs in sides for path in varying_paths(specs))
        solvers = {spec.solver_name for specs in sides for spec in specs}
        telling = {
            solver: frozenset(
                path
                for specs in sides
                for path in varying_paths([spec for spec in specs if spec.solver_name == solver])
            )
            for solver in solvers
        }
        return cls(factor_names(varying), telling)

    def key(self, spec: RunSpec) -> tuple[Any, ...]:
        """The values of all that varies: what a run has in common with its partner."""
        leaves = fast_forward_as_one(spec.leaves())
        return tuple(leaves.get(path) for path in self.paths)

    def place(self, spec: RunSpec) -> GroupKey:
        leaves, solver = spec.leaves(), spec.solver_name
        told = [
            (path, f"{name} {value_text(factor_value(leaves, path))}")
            for path, name in self.paths.items()
            if factor_value(leaves, path) not in (None, "")
        ]
        settings = [
            text
            for path, text in told
            if path.startswith("solver.") and path != "solver.name" and path in self.telling[solver]
        ]
        line = solver_label(solver) + (f" ({', '.join(settings)})" if settings else "")
        if "fast_forward" in self.paths and factor_value(leaves, "fast_forward"):
            line += f" + {factor_value(leaves, 'fast_forward')}"
        rest = [text for path, text in told if not path.startswith("solver.") and path not in APART]
        return GroupKey(" · ".join(rest) or "all runs", line)

    def label(self, spec: RunSpec) -> str:
        condition, line = self.place(spec)
        return f"{line} · {condition} · seed {spec.seed}"


def _partners_by_factors(a: StoreRuns, b: StoreRuns) -> dict[str, str]:
    placing = Placing.of([*a.specs.values()], [*b.specs.values()])
    theirs = {placing.key(spec): spec_id for spec_id, spec in b.specs.items()}
    return {
        spec_id: theirs[placing.key(spec)] for spec_id, spec in a.specs.items() if placing.key(spec) in theirs
    }


def _settings(
    a: Iterable[RunSpec], b: Iterable[RunSpec], varying: Mapping[str, str]
) -> dict[str, tuple[str, str]]:
    """What all runs of a side have alike, and differently from the other side's."""
    constants = [_constants(side) for side in (a, b)]
    return {
        path: (str(constants[0][path]), str(constants[1][path]))
        for path in constants[0]
        if path in constants[1] and constants[0][path] != constants[1][path] and path not in varying
    }


def _constants(specs: Iterable[RunSpec]) -> dict[str, Any]:
    first, *others = [fast_forward_as_one(spec.leaves()) for spec in specs]
    return {
        path: value
        for path, value in first.items()
        if not is_hash(path) and all(other.get(path) == value for other in others)
    }


Known = tuple[StoreRuns, Mapping[str, RunSpec]]


def _groups(
    placing: Placing, a: Known, b: Known, pairs: Sequence[RunPair], metrics: Sequence[Metric]
) -> Iterator[ComparedGroup]:
    """One for each condition and line that either store has, in the order in which they were planned."""
    statuses: list[dict[GroupKey, list[str]]] = [{}, {}]
    for found, (side, specs) in zip(statuses, (a, b), strict=True):
        for spec_id, spec in specs.items():
            found.setdefault(placing.place(spec), []).append(side.status(spec_id))
    for place in sorted({**statuses[0], **statuses[1]}, key=_order([*statuses[0], *statuses[1]])):
        members = [pair for pair in pairs if pair.place == place]
        complete = [pair for pair in members if pair.is_complete]
        yield ComparedGroup(
            place,
            Outcome.of(statuses[0].get(place, ())),
            Outcome.of(statuses[1].get(place, ())),
            [_change(metric, complete, "no pair completed" if members else "no pair") for metric in metrics],
            len(members),
            dict(Counter(quantity for pair in members for quantity in pair.changed).most_common()),
            sum(bool(pair.changed) for pair in members),
        )


def _order(places: Sequence[GroupKey]) -> Any:
    """Conditions as they come, and within one the lines as they come."""
    conditions = list(dict.fromkeys(place.condition for place in places))
    lines = list(dict.fromkeys(place.line for place in places))
    return lambda place: (conditions.index(place.condition), lines.index(place.line))


def _change(metric: Metric, pairs: Sequence[RunPair], nothing: str) -> MetricChange:
    """Of the pairs that completed in both stores; ``nothing`` says why there are none."""
    if not pairs:
        return MetricChange(metric, note=nothing)
    if metric.is_time:
        timed = [pair for pair in pairs if not pair.untimed]
        if not timed:
            return MetricChange(metric, note=f"not comparable: {pairs[0].untimed}")
        pairs = timed
    values = np.asarray(
        [[record.metrics.get(metric.name, np.nan) for record in (pair.a, pair.b)] for pair in pairs]
    )
    if metric.count_name:
        values[np.isnan(values)] = np.inf  # never there: infinitely long, and not dropped
    known = ~np.isnan(values)
    compared, values = int(known.any(axis=1).sum()), values[known.all(axis=1)]
    moved = [pair.change(metric.name) for pair in pairs]
    counts = compared, moved.count("better"), moved.count("worse")
    if not len(values):
        note = "no pair has a number in both" if compared else "no number"
        return MetricChange(metric, None, None, 0, *counts, note)
    a, b = np.median(values, axis=0)
    return MetricChange(metric, float(a), float(b), len(values), *counts)


def _values(side: StoreRuns, key: str) -> str:
    """What the runs of a side have under ``key`` of their provenance."""
    found: dict[str, None] = {}
    for record in side.records.values():
        text = str(record.provenance.get(key) or "")[: HASHES.get(key)]
        changed = key == "git_commit" and record.provenance.get("git_dirty")
        found[text + " with changes" * bool(text and changed)] = None
    return _in_words(filter(None, found))


def _packages(side: StoreRuns) -> dict[str, dict[str, None]]:
    """Package -> its versions in the runs of a side."""
    found: dict[str, dict[str, None]] = {}
    for record in side.records.values():
        for name, version in record.provenance.get("packages", {}).items():
            found.setdefault(name, {})[str(version)] = None
    return found


def _in_words(values: Iterable[str]) -> str:
    shown = list(values)
    more = [f"{len(shown) - SHOWN_VALUES} more"] * (len(shown) > SHOWN_VALUES)
    return ", ".join([*shown[:SHOWN_VALUES], *more])
