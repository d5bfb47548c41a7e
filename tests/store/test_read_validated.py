"""What is read from a store is checked: whatever stands there, a StoreError of one line or a record."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from ptychosuite.errors import StoreError
from ptychosuite.registry.factors import fast_forward_label
from ptychosuite.reporting.bundle import STUDY, opened_bundle
from ptychosuite.store.compact import compact
from ptychosuite.store.group import pack, unpack
from ptychosuite.store.layout import DIMENSIONS, SCHEMA_VERSION, Store
from ptychosuite.store.read import checked_study, read_reference, read_run, read_session, sessions
from ptychosuite.store.write import write_reference, write_run

from tests.store.records import NUMBERS, record, reference, session_content, store_at

WRONG = [None, True, 7, "text", [], [1, None], {}, {"a": {"b": []}}]
SESSION = {**session_content(NUMBERS, {"backend": "numpy"}), "end": "2030", "counts": {"completed": 1}}
RECORD = replace(
    record(1),
    snapshots={2: (np.ones((8, 8), complex), np.ones((4, 4), complex))},
    rings={"frequency": np.arange(3.0), "correlation": np.ones(3)},
    scan_positions_px=np.zeros((2, 2)),
)


def outcome(action):
    """What ``action`` gives; None where it refuses readably. Anything else it raises fails the test."""
    try:
        return action()
    except StoreError as error:
        told = str(error)
    assert "\n" not in told
    assert len(told) < 600
    return None


def spoilt(content, path=()):
    """``content`` without each of its keys, down to two levels, and with each replaced by what is wrong."""
    for key, value in content.items():
        rest = {name: item for name, item in content.items() if name != key}
        yield (*path, key), rest
        for wrong in WRONG:
            yield (*path, key), {**rest, key: wrong}
        if isinstance(value, dict) and len(path) < 2:
            for where, inner in spoilt(value, (*path, key)):
                yield where, {**content, key: inner}


def place_session(store, content):
    file = store.sessions / "2030-01-01.json"
    file.replace(json.dumps(content).encode())
    return file


def test_sessions(tmp_path):
    """Every key of a session is needed and checked; a further one is left alone."""
    store = store_at(tmp_path / "r")
    refused = set()
    for path, content in spoilt(SESSION):
        file = place_session(store, content)
        if outcome(partial(read_session, file)) is None:
            assert not list(sessions(store))
            refused.add(path[0])
        outcome(lambda: compact(store))
    assert refused == set(SESSION)
    place_session(store, {**SESSION, "of a later version": 1})
    assert len(list(sessions(store))) == 1
    place_session(store, {name: value for name, value in SESSION.items() if name not in ("end", "counts")})
    assert len(list(sessions(store))) == 1
    for name in ("title", "spec_ids"):
        place_session(store, {key: value for key, value in SESSION.items() if key != name})
        with pytest.raises(
            StoreError, match=rf"2030-01-01.json is not a session .*'{name}' is missing; set it aside"
        ):
            read_session(store.sessions / "2030-01-01.json")


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"', "{}", '{"study": 1}', "{", ""])
def test_sessions_that_are_none(tmp_path, content):
    """Other JSON, and what is cut off, is refused, and costs no other session."""
    store = store_at(tmp_path / "r")
    (store.sessions / "2030-01-02.json").replace(content.encode())
    with pytest.raises(StoreError, match=r"2030-01-02\.json"):
        read_session(store.sessions / "2030-01-02.json")
    assert len(list(sessions(store))) == 1


def attributes_and_arrays(tmp_path):
    store = store_at(tmp_path / "r")
    file = write_run(store, RECORD)
    with file.open() as content:
        return (store, file, *unpack(content))


def test_attributes_of_runs(tmp_path):
    """Every attribute, and every field of the spec, gives a record or a readable refusal."""
    store, file, attributes, arrays = attributes_and_arrays(tmp_path)
    refused = set()
    for path, content in spoilt(attributes):
        file.replace(pack(arrays, DIMENSIONS, content))
        for images in (True, False):
            if outcome(partial(read_run, file, images)) is None:
                refused.add(path)
        if path[0] == "spec" and path not in refused:
            outcome(lambda: compact(store, rebuild=True))
    tops = {path[0] for path in refused}
    assert tops == set(attributes) - {"spec_id"}
    assert {path[1] for path in refused if path[0] == "spec" and len(path) > 1} == set(attributes["spec"])


def test_arrays_of_runs(tmp_path):
    """An array that is gone, or has another shape or length, gives a record or a readable refusal."""
    _, file, attributes, arrays = attributes_and_arrays(tmp_path)
    for name, array in arrays.items():
        others = {key: value for key, value in arrays.items() if key != name}
        shapes = [array.ravel(), array[:1], array[None], np.concatenate([array, array])]
        for content in [others, *({**others, name: shape} for shape in shapes)]:
            names = {
                key: DIMENSIONS[key][: value.ndim] + ("more",) * (value.ndim - len(DIMENSIONS[key]))
                for key, value in content.items()
            }
            file.replace(pack(content, names, attributes))
            outcome(partial(read_run, file))
    file.replace(pack({**arrays, "metrics": arrays["metrics"][:1]}, DIMENSIONS, attributes))
    with pytest.raises(StoreError, match=r"metric: found 2; the array 'metrics' has 1; set it aside"):
        read_run(file)


def test_every_cut_of_a_run_file(tmp_path):
    """A file that ends early, or has a byte changed, is refused readably, or read."""
    _, file, *_ = attributes_and_arrays(tmp_path)
    content = file.read()
    rng = np.random.default_rng(0)
    for end in rng.integers(0, len(content), 60):
        file.replace(content[:end])
        outcome(partial(read_run, file))
    for place in rng.integers(0, len(content), 200):
        file.replace(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        outcome(partial(read_run, file))


def test_references(tmp_path):
    """A truth without one of its arrays is refused."""
    store = store_at(tmp_path / "r")
    name = write_reference(store, reference())
    file = store.reference_file(name)
    with file.open() as content:
        attributes, arrays = unpack(content)
    for missing in arrays:
        rest = {key: array for key, array in arrays.items() if key != missing}
        file.replace(pack(rest, DIMENSIONS, attributes))
        with pytest.raises(StoreError, match=f"is not a truth .*'{missing}' is missing"):
            read_reference(store, name)
    file.replace(pack(arrays, DIMENSIONS, {"schema_version": SCHEMA_VERSION + 1}))
    with pytest.raises(StoreError, match="Update ptychosuite"):
        read_reference(store, name)


@pytest.mark.parametrize("version", [SCHEMA_VERSION + 1, 99, 0, None, "1", True, [1]])
def test_other_versions(tmp_path, version):
    """Marker and run files of another version say so in one line; of a newer one, what to do about it."""
    store, file, attributes, arrays = attributes_and_arrays(tmp_path)
    file.replace(pack(arrays, DIMENSIONS, {**attributes, "schema_version": version}))
    newer = isinstance(version, int) and version > SCHEMA_VERSION
    told = "Update ptychosuite" if newer else "Use the version that wrote"
    with pytest.raises(StoreError, match=told) as caught:
        read_run(file)
    assert "\n" not in str(caught.value)
    store.marker.replace(json.dumps({"schema_version": version}).encode())
    with pytest.raises(StoreError, match=told):
        Store.open(store.root.address)


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", "{}", '{"version": 1}'])
def test_markers_that_are_none(tmp_path, content):
    """What is expected in the marker is said."""
    store = store_at(tmp_path / "r")
    store.marker.replace(content.encode())
    with pytest.raises(StoreError, match=r'store\.json cannot be read: expected \{"schema_version": 1\}'):
        Store.open(store.root.address)


def test_study_of_a_bundle(tmp_path):
    """What was planned is checked as that of a session."""
    for _, content in spoilt(SESSION):
        outcome(lambda content=content: checked_study(content, "study.json"))
    for content in ([], None, 3, {}):
        with pytest.raises(StoreError, match=r"study\.json is not a study"):
            checked_study(content, "study.json")
    store_at(tmp_path / "b/results/tiny")
    (tmp_path / "b" / STUDY).write_text(json.dumps({"study": "tiny"}))
    (tmp_path / "b/ro-crate-metadata.json").write_text('{"@graph": []}')
    with pytest.raises(StoreError), opened_bundle(tmp_path / "b"):
        pass


def old_file(tmp_path, refocus):
    """A run file as versions wrote it whose fast-forward had a setting ``refocus``."""
    settings = {"kind": "identity", "warm_up": 2, "jumps": 1, "spacing": 12, "refits": 0}
    spec = replace(RECORD.spec, fast_forward={**settings, "refocus": refocus})
    return write_run(store_at(tmp_path / "r"), replace(RECORD, spec=spec)), settings


def test_old_setting_that_did_nothing_is_dropped(tmp_path):
    """The spec is one of today, with the id that it had, so that sessions, plans and baselines find it."""
    file, settings = old_file(tmp_path, 0)
    found = read_run(file).spec
    assert found.fast_forward == settings
    with file.open() as content:
        assert found.spec_id == unpack(content)[0]["spec_id"]
    assert fast_forward_label(found.leaves()) == "identity at 2"


def test_old_setting_that_did_something_is_kept(tmp_path):
    """Such a run is another than those of today, and says so."""
    file, settings = old_file(tmp_path, 1)
    found = read_run(file).spec
    assert found.fast_forward == {**settings, "refocus": 1}
    assert found.spec_id != replace(found, fast_forward=settings).spec_id
    assert fast_forward_label(found.leaves()) == "identity refocus 1 at 2"
