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
        "metrics": ("name", "value"),
        "scans": ("positions",),
        "problems": ("size", "make"),
        "formats": ("recognises", "read", "describe"),
        "figures": ("draw", "stem"),
    }
    assert all(hasattr(cls, method) for method in wanted[group])


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


@dataclasses.dataclass(frozen=True)
class Needs:
    """A field without a default, one with, and a check of its own."""

    share: float
    refits: int = 5

    def __post_init__(self):
        if self.share > 1:
            raise ValueError("too much")

    def advance(self, problem, now, before): ...


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Slotted:
    """The other ways to write one."""

    share: float
    names: list = dataclasses.field(default_factory=list)

    def advance(self, problem, now, before): ...


@dataclasses.dataclass(frozen=True, init=False)
class OwnInit:
    """Takes its settings its own way."""

    def __init__(self, *share): ...
    def advance(self, problem, now, before): ...


@pytest.mark.parametrize("cls", [Needs, Slotted])
def test_a_bare_class_gets_the_fields_of_its_base(cls):
    """Operators have the settings of a schedule; those of a bare class stand beside them, all by keyword."""
    kind = f"{__name__}:{cls.__name__}"
    completed = class_of("operators", kind)
    assert class_of("operators", kind) is completed
    assert completed.__dataclass_params__.frozen
    made = build("operators", {"kind": kind, "share": 0.5, "warm_up": 3})
    assert (made.share, made.warm_up, made.spacing) == (0.5, 3, 12)
    assert list(made.jumps_after) == [3, 15]
    assert made == completed(share=0.5, warm_up=3) != completed(share=0.5, warm_up=4)
    assert "share=0.5" in repr(made)
    assert "warm_up=3" in repr(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.share = 1
    with pytest.raises(TypeError, match="share"):
        completed(warm_up=3)


def test_what_a_bare_class_says_goes_before_its_base():
    """Its own default of a setting that the base has as well, and its own check."""
    kind = f"{__name__}:Needs"
    assert build("operators", {"kind": kind, "share": 0.5}).refits == 5
    with pytest.raises(ValueError, match="too much"):
        build("operators", {"kind": kind, "share": 2.0})


def test_an_init_that_takes_no_settings_is_refused():
    with pytest.raises(StudyError, match="has an __init__ of its own"):
        class_of("operators", f"{__name__}:OwnInit")
