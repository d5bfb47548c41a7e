"""The JSON Schema of study files agrees with the reader."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ptychosuite.study.expand import make_plan
from ptychosuite.study.json_schema import study_schema
from ptychosuite.study.study_file import load_study
from ruamel.yaml import YAML

from tests.study.small import HEAD, REPOSITORY, study_file

STUDIES = [
    path
    for folder in ("studies", "studies/paper", "studies/fast-forward", "studies/experiment", "studies/peers")
    for path in sorted((REPOSITORY / folder).glob("*.yaml"))
    if "\nstudy:" in f"\n{path.read_text()}"  # the others hold overrides
]

GOOD = [
    "",
    "axes: {problem.noise: [0, 0.1], solver: [rpie, {name: magpie, levels: 2}], seed: {range: 3}}\n",
    "zip: [{problem.noise: {linspace: [0, 1, 2]}, seed: [0, 1]}]\n",
    "include: [{solver.alpha: 0.5}]\nexclude: [{seed: 3}]\n",
    "fast_forward: off\nbackend: numpy\n",
    "snapshots: [1, 2]\ntrain: {epochs: 2}\n",
    "check: {tolerance: {residual: 1e-6, first_iterations: {complex64: 0}, peak_host_bytes: null}}\n",
    "sample: 2\naxes: {seed: {range: 3}}\n",
    "fast_forward: {kind: extrapolation, factor: 3, warm_up: 1, jumps: 1, safeguard: off}\n",
    "axes: {fast_forward: [off, {kind: identity, warm_up: 1, jumps: 1, look_ahead: 2}]}\n",
    "solver: 'ptychosuite.solvers.pie:EPIE'\n",
    "solver: {name: 'ptychosuite.solvers.pie:RPIE', alpha: 0.1}\n",
    "axes: {problem.scan: [{kind: 'ptychosuite.problems.scans:Raster', overlap: 0.6}]}\n",
    "figures: [{kind: convergence, panel: noise}, {kind: heatmap, x: noise, y: solver}, {kind: setup}]\n",
]

BAD = [
    "sover: rpie\n",
    "solver: magpi\n",
    "solver: {alpha: 0.1}\n",
    "solver: {name: rpie, alfa: 0.1}\n",
    "solver: {name: rpie, alpha: 0}\n",
    "backend: torhc\n",
    "seed: -1\n",
    "seed: one\n",
    "snapshots: [0]\n",
    "fast_forward: idenity\n",
    "fast_forward: {kind: identity, factor: 2}\n",
    "fast_forward: {warm_up: 0}\n",
    "check: {tolerance: {residal: 0.1}}\n",
    "check: {tolerance: {residual: -0.1}}\n",
    "check: {tolerance: {residual: {complex65: 0.1}}}\n",
    "check: {tolerances: {residual: 0.1}}\n",
    "axes: {sed: [1]}\n",
    "axes: {seed: []}\n",
    "axes: {seed: 3}\n",
    "figures: [{kind: convergance}]\n",
    "figures: [{kind: heatmap, x: noise}]\n",
]


def plain(text: str) -> Any:
    """YAML as an editor reads it: version 1.2, without the switches that the reader adds."""
    return YAML(typ="safe").load(text)


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = study_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_schema_is_plain_json():
    """The schema survives its way through JSON and names its dialect."""
    schema = study_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "_sha256" not in json.dumps(schema)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_of_the_repository_are_valid(validator, path):
    """What stands in studies/ passes the schema, as the reader and as an editor see it."""
    validator.validate(load_study(path).data)
    validator.validate(plain(path.read_text()))


@pytest.mark.parametrize("extra", GOOD)
def test_schema_accepts_what_the_reader_accepts(validator, tmp_path, extra):
    """A good study passes both."""
    make_plan(load_study(study_file(tmp_path, extra)))
    validator.validate(plain(HEAD + extra))


@pytest.mark.parametrize("extra", BAD)
def test_schema_refuses_what_the_reader_refuses(validator, extra):
    """Misspelt keys and impossible values are marked in the editor."""
    assert not validator.is_valid(plain(HEAD + extra))
