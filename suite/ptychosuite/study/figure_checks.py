"""The figures that a study asks for, checked against its runs: no factor or metric that they will not have.

What a figure's settings name, its class says: ``FigureKind.names``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import SimpleNamespace
from typing import Any, cast

from ptychosuite.core.problem import Problem, Reference
from ptychosuite.core.runs import RunSpec, as_scalar, by_identity
from ptychosuite.errors import MOST_NAMES, nearest
from ptychosuite.metrics.metric import Metric, is_default, known_metrics, metric_named
from ptychosuite.problems.problem_kind import HOLD_OUT, START_POSITIONS, kind_of
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import called, factor_value, is_value
from ptychosuite.registry.validation import Keys, SettingError, shown
from ptychosuite.study.schema import DEFAULT_FIGURES, complete_figure
from ptychosuite.study.study_file import StudyFile

OF_JUMPS = "ff_"  # begins the names of the metrics of jumps
LACKS = {
    "truth": "it needs the truth, which no run knows",
    "half scans": "it needs half scans; say 'half_scans: true'",
    "the loop": "it needs a tolerance; say 'stop: {residual: ...}' or 'stop: {gradient: ...}'",
}


def planned_figures(
    study: StudyFile,
    runs: Sequence[RunSpec],
    factors: Iterable[str],
    constants: Iterable[str],
    possible: Iterable[str] = (),
) -> tuple[tuple[dict[str, Any], ...], list[str]]:
    """The figures of ``study`` with all their settings; where it names none, those that its runs can have.

    Beside them, each with its place, what overrides have taken away that a figure asks for.

    Parameters
    ----------
    factors, constants
        Dotted paths of the settings that vary between the runs, and of those that all have alike.
    possible
        Where overrides have changed what the study says, the dotted paths that any run could have: a figure
        about what they have taken away is not drawn, and nothing more.

    Raises
    ------
    StudyError
        With the place in the file, of what cannot be, or what no run of the study will have.
    """
    entries = study.data.get("figures")
    factors = list(factors)
    checks = FigureChecks(runs, {**called([*factors, *constants]), **called(factors)}, called(possible))
    if entries is None:
        figures = [complete_figure(entry, ("figures",)) for entry in DEFAULT_FIGURES]
        return tuple(figure for figure in figures if not any(checks.refusals(figure, ()))), []
    if not isinstance(entries, list):
        raise study.error(("figures",), "expected a list of figures, each with its 'kind'")
    figures, warnings = [], []
    try:
        for index, entry in enumerate(entries):
            path = ("figures", index)
            figures.append(complete_figure(entry, path))
            for refusal in checks.refusals(figures[-1], path):
                raise refusal
            warnings += [
                str(study.error(each.path, each.message)) for each in checks.taken_away(figures[-1], path)
            ]
    except SettingError as error:
        raise study.error(error.path, error.message) from error
    return tuple(figures), warnings


@dataclass(frozen=True)
class FigureChecks:
    """What figures of some runs may ask for.

    ``settings`` and ``possible`` have a dotted path for all that a setting may be called by, of the runs and
    of runs that overrides have taken away.
    """

    runs: Sequence[RunSpec]
    settings: Mapping[str, str]
    possible: Mapping[str, str] = field(default_factory=dict)
    _values: dict[str, list[Any]] = field(default_factory=dict)

    def refusals(self, figure: Mapping[str, Any], path: Keys) -> Iterator[SettingError]:
        """What is wrong with a figure, whose settings are complete, at ``path``."""
        names = registry.class_of("figures", figure["kind"]).names
        for settings, refuse in (
            (names.metrics, self.no_metric),
            (names.curves, self._no_curve),
            ((*names.factors, *names.axes), self._no_factor),
        ):
            yield from _refused(figure, settings, refuse, path)
        for group in registry.build("figures", figure).asks_for:
            reasons = [self.no_metric(name) for name in group]
            if all(reasons):
                yield SettingError((*path, "kind"), "; or ".join(reasons))
        yield from self._same_axes(figure, names.axes, path)
        yield from self._lacking(figure, path)
        for wanted, place in _conditions(figure, path):
            yield from self.nothing_named(wanted, place)
            if not self.possible:
                yield from self.nothing_selected(wanted, place)

    def path_of(self, name: str) -> str:
        """The dotted path of a setting that is called ``name``, and that some run has or could have."""
        return self.settings.get(name) or self.possible[name]

    def taken_away(self, figure: Mapping[str, Any], path: Keys) -> Iterator[SettingError]:
        """Why overrides leave a figure without a run, by its ``where``; nothing where one is left."""
        found = [list(self.nothing_selected(*each)) for each in _conditions(figure, path)]
        if self.possible and found and all(found):
            for reason in (each[0] for each in found):
                yield SettingError(reason.path, f"{reason.message}, so that the figure is not drawn")

    def no_metric(self, name: str) -> str:
        """Why no run will have the metric ``name``; empty where one will."""
        if name.startswith(OF_JUMPS) and (self.possible or any(run.fast_forward for run in self.runs)):
            return ""
        metric = metric_called(name)
        if metric is None:
            return f"no run has '{name}'; {nearest(name, [known.name for known in self._metrics()])}"
        if self.possible or any(_is_measured(metric, run) for run in self.runs):
            return ""
        if not any(_is_asked_for(metric, run) for run in self.runs):
            return f"no run has '{name}'; ask for it with 'metrics: [{metric.name}]'"
        if metric.needs == "truth" and any(kind_of(run.problem).knows_truth for run in self.runs):
            return f"no run has '{name}', as all have half scans; did you mean 'half_{metric.name}'?"
        return f"no run has '{name}': {LACKS.get(metric.needs, 'it cannot be computed for their problems')}"

    def _no_curve(self, name: str) -> str:
        metric = metric_called(name)
        if metric is None or metric.on_the_way:
            return self.no_metric(name)
        curves = [known.name for known in self._metrics() if known.on_the_way]
        return f"'{name}' is known only at the end of a run and has no curve; {nearest(name, curves)}"

    def _metrics(self) -> list[Metric]:
        """Those that a run will have."""
        return [m for m in known_metrics() if any(_is_measured(m, run) for run in self.runs)]

    def _no_factor(self, name: str) -> str:
        """Why no run has the setting ``name``; empty where one has."""
        if name in self.settings or name in self.possible:
            return ""
        return f"no run has '{name}'; {nearest(name, [*self.settings, *self.possible])}"

    def _same_axes(
        self, figure: Mapping[str, Any], axes: Sequence[str], path: Keys
    ) -> Iterator[SettingError]:
        seen: dict[str, str] = {}
        for setting in axes:
            name = str(figure[setting])
            other = seen.setdefault(self.settings.get(name, name), setting)
            if other != setting:
                message = f"'{name}' is on two axes, {other} and {setting}; name two factors"
                yield SettingError((*path, setting), message)

    def _lacking(self, figure: Mapping[str, Any], path: Keys) -> Iterator[SettingError]:
        """Why all runs lack what the figure shows."""
        if self.possible:
            return
        built = registry.build("figures", figure)
        seen = {(id(run.problem), id(run.solver)): run for run in self.runs}.values()
        reasons = (
            built.lacks(outline_of(run.problem), registry.build("solvers", run.solver)) for run in seen
        )
        first = next(reasons, "")
        if first and all(reasons):
            yield SettingError((*path, "kind"), first)

    def nothing_named(self, where: Mapping[str, Any], path: Keys) -> Iterator[SettingError]:
        """What ``where`` asks for that is no setting, or no value."""
        for name, wanted in where.items():
            if problem := self._no_factor(name):
                yield SettingError((*path, name), problem)
                return
            for value, place in _values(wanted, (*path, name)):
                if isinstance(value, Mapping | list):
                    told = f"found {shown(value)}; expected a value as the tables have it, or a list of them"
                    yield SettingError(place, told)
                    return

    def nothing_selected(self, where: Mapping[str, Any], path: Keys) -> Iterator[SettingError]:
        """The values of ``where`` that no run has, or that none has together."""
        known = {name: self.settings[name] for name in where if name in self.settings}
        is_lacking = False
        for name, wanted in where.items():
            lacking = [
                SettingError(place, f"no run has {name} {_shown(value)}; {self._offered(name)}")
                for value, place in _values(wanted, (*path, name))
                if name in known and not any(is_value(found, value) for found in self._found(known[name]))
            ]
            yield from lacking if not self.possible or len(lacking) == len(_alternatives(wanted)) else ()
            is_lacking |= bool(lacking)
        if not is_lacking and len(known) > 1 and not any(self._is_selected(run, where) for run in self.runs):
            yield SettingError(path, "no run has all of this together")

    def _found(self, path: str) -> list[Any]:
        """The values that the runs have of the setting ``path``."""
        if path not in self._values:
            self._values[path] = list(dict.fromkeys(_value(run, path) for run in self.runs))
        return self._values[path]

    def _offered(self, name: str) -> str:
        shown = [_shown(value) for value in self._found(self.settings[name])]
        more = ["..."] * (len(shown) > MOST_NAMES)
        return "there are: " + ", ".join([*shown[:MOST_NAMES], *more])

    def _is_selected(self, run: RunSpec, where: Mapping[str, Any]) -> bool:
        return all(
            any(is_value(_value(run, self.settings[name]), value) for value in _alternatives(wanted))
            for name, wanted in where.items()
            if name in self.settings
        )


def _value(run: RunSpec, path: str) -> Any:
    """The value of one setting of a run, as the results will have it; None where it has no such setting."""
    if path == "fast_forward":
        return factor_value(run.leaves(), path)
    head, *rest = path.split(".")
    value = getattr(run, head)
    for key in rest:
        value = value.get(key) if isinstance(value, Mapping) else None
    return as_scalar(value)


def _refused(
    figure: Mapping[str, Any], settings: Iterable[str], refuse: Callable[[str], str], path: Keys
) -> Iterator[SettingError]:
    for setting in settings:
        given = figure.get(setting)
        for index, name in enumerate(_alternatives(given)):
            if isinstance(name, str) and (message := refuse(name)):
                place = (*path, setting, index) if isinstance(given, list) else (*path, setting)
                yield SettingError(place, message)


def _conditions(figure: Mapping[str, Any], path: Keys) -> list[tuple[Mapping[str, Any], Keys]]:
    """The conditions of a figure's ``where``, of which a run has to meet one, each with its place."""
    where = figure.get("where") or {}
    if isinstance(where, Mapping):
        return [(where, (*path, "where"))]
    return [(wanted, (*path, "where", index)) for index, wanted in enumerate(where)]


def _values(wanted: Any, path: Keys) -> list[tuple[Any, Keys]]:
    """The values of which a run has to have one, each with its place."""
    if not isinstance(wanted, list):
        return [(wanted, path)]
    return [(value, (*path, index)) for index, value in enumerate(wanted)]


def _alternatives(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _shown(value: Any) -> str:
    return {"": "off", None: "null"}.get(value) or str(value)


def metric_called(name: str) -> Metric | None:
    plain = name.replace("-", "_")
    return next((m for m in known_metrics() if plain == m.name or plain in m.aliases), None)


def _is_measured(metric: Metric, run: RunSpec) -> bool:
    """Whether ``run`` will have a value of ``metric``, as far as a plan can tell."""
    if metric.needs == "the loop":
        has_tolerance = run.stop["gradient"] is not None or run.stop["residual"] is not None
        return has_tolerance or not metric.count_name
    return _is_asked_for(metric, run) and _is_available(metric, run)


def _is_asked_for(metric: Metric, run: RunSpec) -> bool:
    named = {metric_named(wanted).name for wanted in run.metrics}
    return metric.name in named or (metric.name in registry.names("metrics") and is_default(metric.name))


def _is_available(metric: Metric, run: RunSpec) -> bool:
    """As far as is known of a problem before it is made."""
    outline = cast(Problem, outline_of(run.problem))
    try:
        available = metric.is_available(outline, run.half_scans)
        return available and metric.concerns(outline, registry.build("solvers", run.solver))
    except AttributeError:
        return True


@by_identity
def outline_of(problem: Mapping[str, Any]) -> SimpleNamespace:
    """What is known of a problem before it is made: its truth, its positions, what is held out."""
    kind = kind_of(problem)
    has = kind.truth_has if kind.knows_truth else frozenset()
    parts = {field.name: field.name in has or None for field in fields(Reference)}
    return SimpleNamespace(
        reference=SimpleNamespace(**parts) if kind.knows_truth else None,
        positions_are_true="given_positions_px" not in has and problem.get(START_POSITIONS) is None,
        fitted_pixels=True if problem.get(HOLD_OUT) else None,
    )
