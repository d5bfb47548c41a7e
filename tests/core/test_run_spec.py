"""Identity of runs and their random numbers."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ptychosuite.core.runs import ID_LENGTH, RunRecord, RunSpec, Status, canonical_json, digest

SPEC = RunSpec(
    problem={"object": {"kind": "texture", "size": 32}, "noise": 0.1},
    solver={"name": "rpie", "alpha": 0.01},
    stop={"iterations": 3, "gradient": None},
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), plain, max_size=5), st.randoms())
def test_digest_does_not_depend_on_key_order(data, random):
    """Equal data give equal text and hash, whatever the order of keys."""
    keys = list(data)
    random.shuffle(keys)
    assert digest({key: data[key] for key in keys}) == digest(data)
    assert canonical_json({key: data[key] for key in keys}) == canonical_json(data)


def test_ids_are_short_hexadecimal():
    """Ids are 16 hexadecimal digits and so fit for file names."""
    for name in (SPEC.spec_id, SPEC.problem_id, SPEC.run_id("code")):
        assert len(name) == ID_LENGTH
        assert set(name) <= set("0123456789abcdef")


def test_ids_are_those_of_earlier_versions():
    """Stores that exist stay valid: this run has had these ids since there are stores."""
    spec = RunSpec(
        problem={
            "object": {"kind": "images", "magnitude": "/data/a.npy", "magnitude_sha256": "ab12",
                       "phase": "camera", "phase_sha256": ""},
            "noise": 0.1,
            "start_probe": None,
        },
        solver={"name": "magpie", "alpha": 1e-4, "levels": 7, "name_ü": [1, 2.0]},
        stop={"iterations": 3, "gradient": None},
        seed=5,
    )  # fmt: skip
    assert (spec.spec_id, spec.problem_id, spec.run_id("code")) == (
        "2b1cf2c75c5d1697",
        "7ccfb2daabfb6416",
        "29239bb7468b091f",
    )
    assert spec.rng("data").integers(1 << 30) == 46011004


@pytest.mark.parametrize(
    "change",
    [
        {"problem": {**SPEC.problem, "noise": 0.2}},
        {"solver": {**SPEC.solver, "alpha": 0.02}},
        {"stop": {**SPEC.stop, "iterations": 4}},
        {"seed": 1},
        {"backend": "torch"},
        {"dtype": "complex128"},
        {"fast_forward": {"checkpoint": "default"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_field_is_part_of_the_identity(change):
    """No field can change without a new spec_id and run_id."""
    other = replace(SPEC, **change)
    assert other.spec_id != SPEC.spec_id
    assert other.run_id("code") != SPEC.run_id("code")


def test_run_id_depends_on_the_code():
    """Another code fingerprint makes another run of the same specification."""
    assert SPEC.run_id("one") != SPEC.run_id("two")


def test_path_of_a_hashed_file_is_no_part_of_the_identity():
    """Where a file lies does not count where its hash is known; its hash does."""
    here, there, other = (
        replace(SPEC, problem={"object": {"kind": "file", "path": path, "path_sha256": sha}})
        for path, sha in (("/a", "1"), ("/b", "1"), ("/a", "2"))
    )
    unhashed = [
        replace(SPEC, problem={"object": {"kind": "images", "magnitude": name, "magnitude_sha256": ""}})
        for name in ("cat", "moon")
    ]
    assert here.spec_id == there.spec_id != other.spec_id
    assert unhashed[0].spec_id != unhashed[1].spec_id


def test_round_trip_keeps_the_identity():
    """A specification survives its way through plain data."""
    again = RunSpec.from_dict(SPEC.to_dict())
    assert again == SPEC
    assert again.spec_id == SPEC.spec_id


def test_specification_is_frozen():
    """Fields cannot be set after the fact."""
    with pytest.raises(FrozenInstanceError):
        SPEC.seed = 3


def test_solvers_share_their_random_numbers():
    """Runs that differ in solver, stop, backend or dtype see the same noise and scan orders."""
    other = replace(
        SPEC, solver={"name": "lbfgs"}, stop={"iterations": 9}, backend="torch", dtype="complex128"
    )
    np.testing.assert_array_equal(SPEC.rng("data").random(4), other.rng("data").random(4))


def test_seeds_and_purposes_have_their_own_random_numbers():
    """Another seed, noise level or purpose draws other numbers; the same draws the same."""
    drawn = [
        tuple(rng.random(3))
        for rng in (
            SPEC.rng("data"),
            SPEC.rng("order"),
            replace(SPEC, seed=1).rng("data"),
            replace(SPEC, problem={**SPEC.problem, "noise": 0.2}).rng("data"),
        )
    ]
    assert len(set(drawn)) == 4
    assert tuple(SPEC.rng("data").random(3)) == drawn[0]


def test_leaves_are_dotted_paths():
    """Every scalar has its dotted path."""
    leaves = SPEC.leaves()
    assert leaves["problem.object.size"] == 32
    assert leaves["solver.name"] == "rpie"
    assert leaves["stop.gradient"] is None
    assert leaves["fast_forward"] is None


@pytest.mark.parametrize(
    ("status", "final"),
    [("completed", True), ("diverged", True), ("failed", False), ("timed-out", False)],
)
def test_final_statuses(status, final):
    """Runs that would end the same way again are final; failures may be tried again."""
    assert Status(status).is_final is final


def test_summary_is_small_and_plain():
    """What travels back from a worker holds no array."""
    record = RunRecord("id", SPEC, Status.COMPLETED, metrics={"seconds": 2.0}, object=np.ones((4, 4)))
    assert record.summary() == {"run_id": "id", "status": "completed", "seconds": 2.0, "message": ""}
    assert np.isnan(RunRecord("id", SPEC, Status.FAILED).summary()["seconds"])
