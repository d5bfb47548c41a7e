"""Names and the classes behind them."""

import dataclasses
from importlib.metadata import EntryPoint

import pytest
from ptychosuite.errors import StudyError
from ptychosuite.registry.lookup import GROUPS, build, class_of, classes, faults, forget

ENTRIES = [(group, name) for group, content in GROUPS.items() for name in content.built_in]


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_every_name_loads(group, name):
    """Behind every name is a frozen dataclass with a docstring and the methods of its group."""
    cls = class_of(group, name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert cls.__doc__
    wanted = {
        "solvers": ("init", "step", "check"),
        "operators": ("advance", "check"),
        "objects": ("make", "shape"),
        "probes": ("make",),
        "figures": ("draw", "stem"),
    }
    assert all(hasattr(cls, method) for method in wanted.get(group, ("positions",)))


def test_build_passes_the_settings():
    """Name or kind picks the class, everything else are its fields."""
    assert build("solvers", {"name": "magpie", "alpha": 0.2, "levels": 3}).levels == 3
    settings = {"kind": "gaussian", "size": 16}
    assert build("probes", settings).size == 16
    assert settings == {"kind": "gaussian", "size": 16}


def test_unknown_name():
    """A misspelt name is answered with the nearest one, a strange one with all."""
    with pytest.raises(StudyError, match="unknown solver 'magpy'; did you mean 'magpie'"):
        class_of("solvers", "magpy")
    with pytest.raises(StudyError, match=r"valid: .*raster"):
        class_of("scans", "zzz")


@dataclasses.dataclass(frozen=True)
class Bare:
    """Two methods, and nothing of ours."""

    gain: float = 1.0

    def init(self, problem): ...
    def step(self, problem, state, rng): ...


def test_plugins_add_but_do_not_replace(monkeypatch):
    """Entry points bring names of their own; a built-in name stays ours; a broken one says so."""
    here = "tests.registry.test_lookup"
    found = [
        EntryPoint("mine", f"{here}:Bare", "ptychosuite.solvers"),
        EntryPoint("rpie", f"{here}:Bare", "ptychosuite.solvers"),
        EntryPoint("bad", "no.such:X", "ptychosuite.solvers"),
        EntryPoint("odd", "fractions:Fraction", "ptychosuite.solvers"),
    ]
    of_solvers = lambda group: found if group == "ptychosuite.solvers" else []  # noqa: E731
    monkeypatch.setattr("ptychosuite.registry.lookup.entry_points", of_solvers)
    forget()
    try:
        assert class_of("solvers", "rpie").__name__ == "RPIE"
        assert build("solvers", {"name": "mine", "gain": 2.0}).gain == 2.0
        assert class_of("solvers", "mine").typical_cost == 2.0
        assert class_of("solvers", f"{here}:Bare") is not None
        with pytest.raises(StudyError, match=r"cannot be loaded from no\.such:X"):
            class_of("solvers", "bad")
        with pytest.raises(StudyError, match="has no 'init'"):
            class_of("solvers", "odd")
        told = {fault.name: fault.message for fault in faults()}
        assert set(told) == {"rpie", "bad", "odd"}
        assert "ptychosuite itself" in told["rpie"]
        assert "mine" in classes("solvers")
        assert "bad" not in classes("solvers")
    finally:
        monkeypatch.undo()
        forget()
