"""Names and the classes behind them."""

import dataclasses

import pytest
from ptychosuite.errors import StudyError
from ptychosuite.registry.lookup import BUILT_IN, build, names, settings_class

ENTRIES = [(group, name) for group, entries in BUILT_IN.items() for name in entries]


@pytest.mark.parametrize(("group", "name"), ENTRIES)
def test_every_name_loads(group, name):
    """Behind every name is a frozen dataclass with a docstring and the methods of its group."""
    cls = settings_class(group, name)
    assert dataclasses.is_dataclass(cls)
    assert cls.__dataclass_params__.frozen
    assert cls.__doc__
    wanted = {
        "solvers": ("init", "step", "check"),
        "operators": ("advance", "check"),
        "objects": ("make", "shape"),
        "probes": ("make",),
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
        settings_class("solvers", "magpy")
    with pytest.raises(StudyError, match=r"valid: .*raster"):
        settings_class("scans", "zzz")


def test_plugins_add_but_do_not_replace(monkeypatch):
    """Entry points bring names of their own; a built-in name stays ours; a broken one says so."""

    class Entry:
        def __init__(self, name, value):
            self.name, self.value = name, value

    found = [
        Entry("mine", "fractions:Fraction"),
        Entry("rpie", "fractions:Fraction"),
        Entry("bad", "no.such:X"),
    ]
    monkeypatch.setattr("ptychosuite.registry.lookup.entry_points", lambda group: found)
    names.cache_clear()
    settings_class.cache_clear()
    try:
        assert names("solvers")["mine"] == "fractions:Fraction"
        assert settings_class("solvers", "rpie").__name__ == "RPIE"
        assert settings_class("solvers", "mine").__name__ == "Fraction"
        with pytest.raises(StudyError, match=r"cannot be loaded from no\.such:X"):
            settings_class("solvers", "bad")
    finally:
        names.cache_clear()
        settings_class.cache_clear()
