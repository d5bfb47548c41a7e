"""From a study to its runs."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ptychosuite.errors import StudyError
from ptychosuite.registry import lookup as registry
from ptychosuite.registry.factors import fast_forward_label
from ptychosuite.study.axis_values import axis_values
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_overrides, load_study

from tests.study.small import forget_names, plan_of, plan_text, study_file, use_test_solvers

SOLVERS = "  solver: [rpie, {name: magpie, levels: 2}, {name: lbfgs, history: 3}]\n"


def values(plan, path):
    """The value of one dotted path in each run."""
    return [run.leaves().get(path) for run in plan.runs]


def test_axes_make_the_full_product(tmp_path):
    """Every combination of the axes is one run."""
    plan = plan_text(tmp_path, "axes:\n  problem.noise: [0.0, 0.1]\n" + SOLVERS + "  seed: {range: 3}\n")
    combinations = set(
        zip(values(plan, "problem.noise"), values(plan, "solver.name"), values(plan, "seed"), strict=True)
    )
    assert len(plan.runs) == len(combinations) == 2 * 3 * 3
    assert len(set(plan.run_ids)) == 18


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    noise=st.lists(st.sampled_from([0, 0.1, 0.2, 0.5, 1]), min_size=1, unique=True),
    overlap=st.lists(st.sampled_from([0.25, 0.5, 0.75]), min_size=1, unique=True),
    seeds=st.integers(1, 4),
    pairs=st.integers(0, 3),
)
def test_number_of_runs_is_the_product(tmp_path, noise, overlap, seeds, pairs):
    """Axes multiply, axes that are zipped count once, and all runs differ."""
    extra = (
        f"axes:\n  problem.noise: {noise}\n  problem.scan.overlap: {overlap}\n  seed: {{range: {seeds}}}\n"
    )
    if pairs:
        column = list(range(2, 2 + pairs))
        extra += f"zip:\n  - {{stop.iterations: {column}, problem.object.pattern: {column}}}\n"
    plan = plan_text(tmp_path, extra)
    assert len(plan.runs) == len(noise) * len(overlap) * seeds * max(1, pairs)
    assert len({run.spec_id for run in plan.runs}) == len(plan.runs)


def test_zipped_axes_advance_together(tmp_path):
    """The n-th values of a zip belong together; several zips multiply."""
    plan = plan_text(
        tmp_path,
        "zip:\n  - {problem.noise: [0.1, 0.2], stop.iterations: [3, 5]}\n  - {seed: {range: 2}}\n",
    )
    pairs = zip(values(plan, "problem.noise"), values(plan, "stop.iterations"), strict=True)
    assert sorted(pairs) == [(0.1, 3), (0.1, 3), (0.2, 5), (0.2, 5)]


def test_sample_draws_from_all_combinations(tmp_path):
    """As many as asked for, no two the same, always the same ones; included runs come on top."""
    text = "sample: 7\naxes: {problem.noise: [0.1, 0.2, 0.3], seed: {range: 10}}\ninclude: [{seed: 99}]\n"
    plan = plan_text(tmp_path, text)
    assert len({run.spec_id for run in plan.runs}) == len(plan.runs) == 8
    assert plan_text(tmp_path, text).run_ids == plan.run_ids
    everything = plan_text(tmp_path, text.replace("sample: 7\n", ""))
    assert set(plan.run_ids) < set(everything.run_ids)


@pytest.mark.parametrize("sample", ["31", "0", "-1", "many", "on", "1.5"])
def test_sample_that_cannot_be_drawn(tmp_path, sample):
    with pytest.raises(StudyError, match="from 1 to 30"):
        plan_text(
            tmp_path, f"sample: {sample}\naxes: {{problem.noise: [0.1, 0.2, 0.3], seed: {{range: 10}}}}\n"
        )


def test_include_adds_runs(tmp_path):
    """An included run has the defaults and what it says, outside the product."""
    plan = plan_text(
        tmp_path,
        "axes: {seed: [1, 2]}\n"
        "include: [{seed: 7, solver: {name: magpie, levels: 1}}, {problem.noise: 0.0}]\n",
    )
    assert list(zip(values(plan, "seed"), values(plan, "solver.name"), strict=True)) == [
        (1, "rpie"),
        (2, "rpie"),
        (7, "magpie"),
        (0, "rpie"),
    ]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("{seed: 1}", 6),
        ("{seed: [0, 2]}", 3),
        ("{solver: {name: magpie}}", 6),
        ("{solver.name: magpie}", 6),
        ("{solver.name: rpie}", 6),
        ("{solver.name: [rpie, magpie]}", 3),
        ("{solver: {name: magpie}, seed: [0, 1]}", 7),
        ("{solver.levels: 2}", 6),
        ("{solver: {levels: 3}}", 9),
        ("{problem: {object: {kind: texture}}, seed: 0}", 6),
        ("{problem.object.kind: texture, seed: 0}", 6),
    ],
)
def test_exclude_drops_what_matches(tmp_path, pattern, left):
    """A pattern is a scalar, a list of alternatives, or a nested mapping; all its keys must match."""
    plan = plan_text(tmp_path, f"axes:\n{SOLVERS}  seed: {{range: 3}}\nexclude: [{pattern}]\n")
    assert len(plan.runs) == left


def test_exclude_sees_defaults(tmp_path):
    """A setting left to its default can be excluded like one that is written."""
    axes = "axes:\n  solver: [rpie, {name: rpie, alpha: 0.1}]\n"
    plan = plan_text(tmp_path, axes + "exclude: [{solver.alpha: 0.05}]\n")
    assert values(plan, "solver.alpha") == [0.1]


@pytest.mark.parametrize(
    ("given_values", "expanded"),
    [
        ([1, "a"], [1, "a"]),
        ({"range": 3}, [0, 1, 2]),
        ({"range": [2, 9, 3]}, [2, 5, 8]),
        ({"range": [3, 0, -1]}, [3, 2, 1]),
        ({"linspace": [0, 1, 5]}, [0, 0.25, 0.5, 0.75, 1]),
        ({"geomspace": [0.01, 1, 3]}, [0.01, 0.1, 1]),
        ({"geomspace": [1, 0.01, 3]}, [1, 0.1, 0.01]),
    ],
)
def test_ranges(given_values, expanded):
    """Ranges are as in Python and NumPy, both ends of the spaced ones included."""
    result = axis_values(given_values, StudyError)
    assert len(result) == len(expanded)
    assert all(
        a == b if isinstance(b, str) else math.isclose(a, b) for a, b in zip(result, expanded, strict=True)
    )


@settings(deadline=None)
@given(
    first=st.floats(1e-6, 1e6),
    last=st.floats(1e-6, 1e6),
    number=st.integers(2, 50),
    kind=st.sampled_from("lg"),
)
def test_spaced_axes_agree_with_numpy(first, last, number, kind):
    """linspace and geomspace give NumPy's numbers."""
    name = {"l": "linspace", "g": "geomspace"}[kind]
    found = axis_values({name: [first, last, number]}, StudyError)
    np.testing.assert_allclose(
        found, getattr(np, name)(first, last, number), rtol=1e-9, atol=1e-9 * max(first, last)
    )


def test_ends_of_spaced_axes_are_exact(tmp_path):
    """The ends of an axis are the numbers that were written, so that runs are found again."""
    for kind in ("linspace", "geomspace"):
        first, *_, last = axis_values({kind: [0.05, 0.4, 4]}, StudyError)
        assert (first, last) == (0.05, 0.4)


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("problem.noise=0.3", "problem.noise", [0.3, 0.3]),
        ("problem.noise=1e-4", "problem.noise", [1e-4, 1e-4]),
        ("problem.object.size=48", "problem.object.size", [48, 48]),
        ("stop.gradient=1e-4", "stop.gradient", [1e-4, 1e-4]),
        ("stop.continue_past_tolerance=on", "stop.continue_past_tolerance", [True, True]),
        ("solver=lbfgs", "solver.name", ["lbfgs", "lbfgs"]),
        ("solver={name: magpie, levels: 1}", "solver.levels", [1, 1]),
        ("solver.alpha=0.5", "solver.alpha", [0.5, 0.5]),
        ("seed=9", "seed", [9]),
        ("seed=[4, 5, 6]", "seed", [4, 5, 6]),
        ("seed={range: 4}", "seed", [0, 1, 2, 3]),
        ("problem.noise=[0.1, 0.2]", "problem.noise", [0.1, 0.2, 0.1, 0.2]),
        ("problem.noise={linspace: [0, 1, 3]}", "problem.noise", [0, 0.5, 1, 0, 0.5, 1]),
    ],
)
def test_set_overrides_defaults_and_axes(tmp_path, override, path, expected):
    """--set replaces a default, a detail or a whole axis; a list or a range makes an axis."""
    plan = plan_text(tmp_path, "axes: {seed: [0, 1]}\n", override)
    assert values(plan, path) == expected


def test_set_overrides_one_column_of_a_zip(tmp_path):
    """What is set is the same for all; the other columns of the zip still advance."""
    plan = plan_text(tmp_path, "zip: [{problem.noise: [0.1, 0.2], seed: [1, 2]}]\n", "problem.noise=0.7")
    assert values(plan, "problem.noise") == [0.7, 0.7]
    assert values(plan, "seed") == [1, 2]


def test_set_reaches_included_runs_and_the_last_one_counts(tmp_path):
    """Overrides apply to included runs too; of two for one path the later stands."""
    plan = plan_text(tmp_path, "include: [{seed: 5}]\n", "problem.noise=0.3", "problem.noise=0.4")
    assert values(plan, "problem.noise") == [0.4, 0.4]
    assert plan.overrides == ("problem.noise=0.3", "problem.noise=0.4")


def test_set_of_a_detail_stays_when_a_whole_is_given_later(tmp_path):
    """A part and its details may come in any order."""
    for order in (1, -1):
        chosen = ["solver={name: magpie, levels: 1}", "solver.alpha=0.25"][::order]
        (run,) = plan_text(tmp_path, "", *chosen).runs
        assert run.solver.items() >= {"name": "magpie", "levels": 1, "alpha": 0.25}.items()


def test_override_file(tmp_path, monkeypatch):
    """Relative paths of an override file count from its own folder, and ${NAME} from the environment."""
    elsewhere, data = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    data.mkdir()
    np.save(elsewhere / "object.npy", np.full((32, 32), 1 + 1j))
    np.save(data / "probe.npy", np.ones((16, 16)))
    monkeypatch.setenv("PROBES", str(data))
    overrides = elsewhere / "here.yaml"
    overrides.write_text(
        "problem.object: {kind: file, path: ./object.npy}\n"
        "problem.probe: {kind: file, path: '${PROBES}/probe.npy'}\n"
        "stop.iterations: 5\n"
    )
    (run,) = make_plan(load_study(study_file(tmp_path), load_overrides(overrides))).runs
    assert run.problem["object"]["path"] == str(elsewhere / "object.npy")
    assert run.problem["probe"]["path"] == str(data / "probe.npy")
    assert run.stop["iterations"] == 5


def test_solver_as_text_or_mapping(tmp_path):
    """A solver's name alone means all its defaults."""
    ids = {
        plan_text(tmp_path, f"solver: {written}\n").runs[0].spec_id
        for written in ("rpie", "{name: rpie}", "{name: rpie, alpha: 0.05}", "{alpha: 5e-2, name: rpie}")
    }
    assert len(ids) == 1


@pytest.mark.parametrize("word", ["on", "On", "yes", "true"])
def test_switches(tmp_path, word):
    """On and yes mean true, off and no mean false; 1e-4 is a number."""
    on = study_file(
        tmp_path, f"fast_forward: off\nstop: {{continue_past_tolerance: {word}, gradient: 1e-4}}\n",
        head="study: tiny\n",
    )  # fmt: skip
    (run,) = plan_of(on).runs
    assert run.stop["continue_past_tolerance"] is True
    assert run.stop["gradient"] == 1e-4
    assert run.fast_forward is None


def test_quoted_switches_stay_text(tmp_path):
    """A title that says 'on' in quotes is text."""
    assert plan_text(tmp_path, "title: 'on'\n").title == "on"


def test_a_run_is_complete(tmp_path):
    """Every default is filled in; what the study writes stands."""
    (run,) = plan_text(tmp_path, "").runs
    assert run.problem["scan"] == {"kind": "raster", "overlap": 0.5, "step_px": None}
    assert run.problem["noise"] == 0.05
    assert run.solver.items() >= {"name": "rpie", "alpha": 0.05}.items()
    assert run.stop["iterations"] == 3
    assert run.stop["gradient"] is None
    assert (run.seed, run.backend, run.dtype, run.fast_forward) == (0, "numpy", "complex64", None)


def test_identity_is_independent_of_how_a_run_is_written(tmp_path):
    """Key order, spelled-out defaults, and default or axis make no difference."""
    ways = [
        ("solver: {name: magpie, levels: 2}\n", []),
        ("axes: {solver: [{levels: 2, name: magpie}]}\n", []),
        ("solver: magpie\nseed: 0\ndtype: complex64\n", ["solver.levels=2"]),
        ("include: [{solver: {levels: 2, name: magpie}}]\nexclude: [{solver.name: rpie}]\n", []),
        ("solver: magpie\nzip: [{solver.levels: [2]}]\n", ["problem.scan.overlap=0.5"]),
    ]
    assert len({plan_text(tmp_path, extra, *sets).runs[0].spec_id for extra, sets in ways}) == 1


def test_integers_and_floats_of_equal_value_are_one_run(tmp_path):
    """noise: 1 and noise: 1.0 are the same run."""
    assert len(plan_text(tmp_path, "axes: {problem.noise: [1, 1.0]}\n").runs) == 1


def test_duplicates_are_merged(tmp_path):
    """A run that comes out of the study twice is carried out once."""
    plan = plan_text(tmp_path, "axes: {seed: [1, 1, 2]}\ninclude: [{seed: 2}]\n")
    assert values(plan, "seed") == [1, 2]


def file_study(tmp_path, name):
    return study_file(tmp_path, head=f"study: tiny\nproblem:\n  object: {{kind: file, path: {name}}}\n",
                      extra="  probe: {kind: gaussian, size: 16}\n")  # fmt: skip


def test_identity_of_files_is_their_content(tmp_path):
    """The same bytes at another place are the same run; other bytes are another."""
    (tmp_path / "sub").mkdir()
    for name, value in (("a", 1), ("sub/b", 1), ("c", 2)):
        np.save(tmp_path / f"{name}.npy", np.full((32, 32), value, dtype=complex))
    ids = [plan_of(file_study(tmp_path, f"{name}.npy")).runs[0].spec_id for name in ("a", "sub/b", "c")]
    assert ids[0] == ids[1] != ids[2]


def test_a_file_that_changes_is_another_run(tmp_path):
    """New content at the same path is seen, also by a process that has read the old one."""
    ids = []
    for value in (1, 2):
        np.save(tmp_path / "a.npy", np.full((32, 32), value, dtype=complex))
        ids.append(plan_of(file_study(tmp_path, "a.npy")).runs[0].spec_id)
    assert ids[0] != ids[1]


def test_factors_and_constants(tmp_path):
    """What differs between runs is a factor, in the study's order; the rest is constant."""
    plan = plan_text(tmp_path, f"axes:\n  problem.noise: [0.0, 0.1]\n{SOLVERS}  seed: [3]\n")
    assert plan.factors["problem.noise"] is True
    assert plan.factors["solver.name"] is False
    assert {"solver.levels", "solver.history"} <= set(plan.factors)
    others = {path for path in plan.factors if not path.startswith("solver.")}
    assert others == {"problem.noise", "seed"}, "an axis of one value stays one"
    assert plan.constants["stop.iterations"] == 3
    assert plan.constants["problem.object.size"] == 32
    assert not set(plan.constants) & set(plan.factors)


def test_factors_keep_the_order_of_the_study(tmp_path):
    """Tables and legends list factors as the study does."""
    plan = plan_text(tmp_path, "axes:\n  problem.noise: [0.0, 0.1]\n  seed: [0, 1]\n  solver: [rpie, epie]\n")
    shown = [path for path in plan.factors if path in ("problem.noise", "seed", "solver.name")]
    assert shown == ["problem.noise", "seed", "solver.name"]


def test_remaining(tmp_path):
    """What is done is left out, the order stays."""
    plan = plan_text(tmp_path, "axes: {seed: [5, 6, 7]}\n")
    assert [run.seed for run in plan.remaining([plan.run_ids[1], "stranger"])] == [5, 7]


def test_figures_by_default(tmp_path):
    """A study without figures gets residual, error and images."""
    figures = plan_text(tmp_path, "").figures
    assert [(figure["kind"], figure.get("metric")) for figure in figures] == [
        ("convergence", "residual"),
        ("convergence", "error"),
        ("images", None),
    ]
    assert plan_text(tmp_path, "figures: []\n").figures == ()


def test_plug_in_solvers(tmp_path, monkeypatch):
    """Another package's solver is found through its entry point, and ours cannot be replaced."""
    with monkeypatch.context() as patch:
        use_test_solvers(tmp_path / "plug-ins", patch)
        (run,) = plan_text(tmp_path, "solver: {name: slow, seconds: 0.5}\n").runs
        assert dict(run.solver) == {"name": "slow", "seconds": 0.5}
        assert registry.names("solvers")["rpie"] == registry.GROUPS["solvers"].built_in["rpie"]
    forget_names()


def test_fast_forward_settings_are_completed(tmp_path):
    """A kind alone, settings, or off; a checkpoint is known by its content and its path does not count."""
    (tmp_path / "a.safetensors").write_bytes(b"weights")
    (tmp_path / "b.safetensors").write_bytes(b"weights")
    axis = "[off, identity, {kind: extrapolation, factor: 3}, {checkpoint: a.safetensors, jumps: 1}]"
    plan = plan_text(tmp_path, f"axes: {{fast_forward: {axis}}}\n", "stop.iterations=80")
    off, identity, extrapolation, network = (run.fast_forward for run in plan.runs)
    assert off is None
    schedule = {
        "warm_up": 13,
        "jumps": 2,
        "spacing": 12,
        "refits": 0,
        "safeguard": True,
        "look_ahead": 10,
        "judged_on": 25,
    }
    assert identity == {"kind": "identity", **schedule}
    assert extrapolation == {"kind": "extrapolation", **schedule, "factor": 3}
    digest = hashlib.sha256(b"weights").hexdigest()
    assert network == {
        "kind": "network",
        **schedule,
        "jumps": 1,
        "checkpoint": str((tmp_path / "a.safetensors").resolve()),
        "checkpoint_sha256": digest,
    }
    assert plan.factors == {"fast_forward": False}
    assert not any(path.startswith("fast_forward") for path in plan.constants)
    other = plan_text(tmp_path, "fast_forward: {checkpoint: b.safetensors, jumps: 1}\n", "stop.iterations=80")
    assert other.runs[0].spec_id == plan.runs[3].spec_id
    assert other.constants["fast_forward"].startswith("network b-")


def test_fast_forward_by_its_parts(tmp_path):
    """Dotted paths reach below a kind that is given alone."""
    plan = plan_text(
        tmp_path,
        "fast_forward: identity\naxes: {fast_forward.warm_up: [5, 10], fast_forward.safeguard: [on, off]}\n",
        "stop.iterations=80",
    )
    assert [run.fast_forward["warm_up"] for run in plan.runs] == [5, 5, 10, 10]
    assert plan.factors == {"fast_forward": False}
    assert len({fast_forward_label(run.leaves()) for run in plan.runs}) == 4
