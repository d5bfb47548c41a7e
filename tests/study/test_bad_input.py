"""Everything that is refused before anything runs, and what the refusal says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from ptychosuite.errors import StudyError
from ptychosuite.study.expand import make_plan
from ptychosuite.study.study_file import load_overrides, load_study, parse_override

from tests.study.small import HEAD, plan_of, study_file

OBJECT, PROBE = "{kind: texture, size: 32}", "{kind: gaussian, size: 16, fwhm_px: 6}"

# (what the study adds from line 6 on, line:column, what the message says)
ADDED = {
    "unknown top-level key": ("sover: rpie\n", "6:1", ["sover", "'solver'"]),
    "unknown solver setting": ("solver: {name: rpie, alfa: 0.1}\n", "6:22", ["alfa", "'alpha'"]),
    "unknown stop setting": ("axes: {stop.iteration: [3]}\n", "6:25", ["iteration", "'iterations'"]),
    "unknown axis": ("axes: {sed: [1]}\n", "6:8", ["sed", "'seed'"]),
    "unknown deep axis": ("axes:\n  problem.nois: [0.1]\n", "7:18", ["nois", "'noise'"]),
    "axis below a number": ("axes: {seed.x: [1]}\n", "6:", ["seed", "keys and values"]),
    "seed is text": ("seed: one\n", "6:1", ["seed", '"one"', "integer"]),
    "seed is a switch": ("seed: on\n", "6:1", ["seed", "true", "integer"]),
    "negative seed": ("axes:\n  seed: [0, -1]\n", "7:13", ["seed", "-1"]),
    "overlap 1": ("axes:\n  problem.scan.overlap: [0.5, 1.0]\n", "7:31", ["overlap", "1.0", "less than 1"]),
    "overlap below 0": ("axes: {problem.scan.overlap: [-0.1]}\n", "6:31", ["overlap", "-0.1", "0"]),
    "negative noise": ("axes: {problem.noise: [0.1, -0.2]}\n", "6:29", ["noise", "-0.2"]),
    "noise is not a number": ("axes: {problem.noise: [0.1, .nan]}\n", "6:29", ["noise", "(?i)nan"]),
    "noise is infinite": ("axes: {problem.noise: [0.1, .inf]}\n", "6:29", ["noise", "(?i)inf"]),
    "probe larger than object": ("axes: {problem.probe.size: [16, 64]}\n", "6:33", ["64 x 64", "32 x 32"]),
    "object smaller than probe": ("axes: {problem.object.size: [32, 8]}\n", "6:34", ["16 x 16", "8 x 8"]),
    "levels too deep": ("solver: {name: magpie, levels: 7}\n", "6:24", ["levels", "7", "16 x 16", "4"]),
    "levels too deep, axis": ("solver: magpie\naxes: {solver.levels: [2, 9]}\n", "7:27", ["levels", "9"]),
    "default levels too deep": ("solver: magpie\n", "6:1", ["levels", "5", "16 x 16"]),
    "alpha 0": ("solver: {name: rpie, alpha: 0}\n", "6:22", ["alpha", "found 0", "greater than 0"]),
    "unknown solver": ("solver: magpi\n", "6:1", ["magpi", "'magpie'"]),
    "unknown solver in an axis": ("axes: {solver: [rpie, {name: lbgfs}]}\n", "6:24", ["lbgfs", "'lbfgs'"]),
    "solver without a name": ("solver: {alpha: 0.1}\n", "6:1", ["'name' is missing", "rpie"]),
    "solver is a number": ("solver: 3\n", "6:1", ["solver", "3"]),
    "half scans of one position": (
        "half_scans: on\naxes: {problem.scan.step_px: [4, 99]}\n",
        "6:1",
        ["half_scans", "1 position;", "take 4"],
    ),
    "unknown backend": ("backend: torhc\n", "6:1", ["torhc", "'torch'"]),
    "unknown dtype": ("axes: {dtype: [complex32]}\n", "6:16", ["complex32", "complex64"]),
    "fast-forward is a number": ("fast_forward: 3\n", "6:1", ["fast_forward", "found 3", "keys and values"]),
    "unknown operator": ("fast_forward: idenity\n", "6:1", ["idenity", "'identity'"]),
    "unknown operator in an axis": ("axes: {fast_forward: [off, {kind: xpol}]}\n", "6:29", ["xpol", "valid"]),
    "unknown operator setting": ("fast_forward: {kind: identity, warmup: 1}\n", "6:32", ["'warm_up'"]),
    "another operator's setting": ("fast_forward: {kind: identity, factor: 2}\n", "6:32", ["factor", "key"]),
    "unknown deep operator setting": ("axes: {fast_forward.warmup: [1]}\n", "6:30", ["'warm_up'"]),
    "no warm-up": ("fast_forward: {kind: identity, warm_up: 0}\n", "6:32", ["warm_up", "found 0"]),
    "safeguard is a number": ("fast_forward: {kind: identity, safeguard: 1}\n", "6:32", ["safeguard", "1"]),
    "factor below 0": ("fast_forward: {kind: extrapolation, factor: -1}\n", "6:37", ["factor", "-1"]),
    "no such checkpoint": ("fast_forward: {checkpoint: x.safetensors}\n", "6:16", ["x.safe", "No such"]),
    "misspelt checkpoint": ("fast_forward: {checkpoint: defualt}\n", "6:16", ["defualt", "'default'"]),
    "checkpoint is a number": ("fast_forward: {checkpoint: 3}\n", "6:16", ["found 3", "a path"]),
    "hash given": ("fast_forward: {kind: network, checkpoint_sha256: a}\n", "6:31", ["taken, not given"]),
    "run too short for jumps": ("fast_forward: {kind: identity, warm_up: 2}\n", "6:32", ["ends at 3", "32"]),
    "warm-up too long by default": ("fast_forward: identity\n", "6:1", ["iteration 25", "35", "ends at 3"]),
    "jumps too close": (
        "fast_forward: {kind: identity, spacing: 5}\n",
        "6:32",
        ["found 5", "look_ahead, 10"],
    ),
    "no way back": (
        "solver: {name: ptychi, algorithm: dm}\nfast_forward: identity\n",
        "7:1",
        ["ptychi", "carried ahead", "exit wave", "'off'"],
    ),
    "empty axis": ("axes: {seed: []}\n", "6:8", ["seed", r"\[\]", "list"]),
    "axis of one number": ("axes: {seed: 3}\n", "6:8", ["seed", "3", "list"]),
    "axis of nothing": ("axes: {seed: }\n", "6:8", ["seed", "list"]),
    "empty range": ("axes: {seed: {range: 0}}\n", "6:8", ["seed", "range", "0"]),
    "geomspace from 0": ("axes: {problem.noise: {geomspace: [0, 1, 3]}}\n", "6:8", ["noise", "geomspace"]),
    "unknown range": ("axes: {problem.noise: {lispace: [0, 1, 3]}}\n", "6:8", ["lispace", "linspace"]),
    "axes are a list": ("axes: [seed]\n", "6:1", ["axes", "dotted paths"]),
    "unequal zip": ("zip:\n  - problem.noise: [1, 2]\n    seed: [1]\n", "7:5", ["noise has 2", "seed has 1"]),
    "zip is a mapping": ("zip: {seed: [1]}\n", "6:1", ["zip", "list of mappings"]),
    "one path twice": ("axes: {seed: [1, 2]}\nzip: [{seed: [3, 4]}]\n", "7:8", ["seed", "axes"]),
    "unknown path excluded": ("exclude: [{sed: 0}]\n", "6:12", ["sed", "'seed'"]),
    "unknown deep path excluded": ("exclude: [{problem.nois: 0}]\n", "6:12", ["nois", "noise"]),
    "everything excluded": ("exclude: [{seed: 0}]\n", "6:1", ["exclude", "nothing is left"]),
    "unknown path included": ("include: [{problem.nois: 0}]\n", "6:12", ["nois", "'noise'"]),
    "title is a list": ("title: [a]\n", "6:1", ["title"]),
    "duplicate key": ("seed: 1\nseed: 2\n", "7:1", ["duplicate", "seed"]),
    "unknown figure": ("figures: [{kind: convergance}]\n", "6:12", ["convergance", "'convergence'"]),
    "figure kind is a list": ("figures: [{kind: [setup]}]\n", "6:12", ["setup"]),
    "unknown figure setting": ("figures:\n  - {kind: images, sho: [phase]}\n", "7:20", ["sho", "'show'"]),
    "figure without a field": ("figures: [{kind: heatmap, x: noise}]\n", "6:11", ["'y' is missing"]),
    "unknown panel": ("figures: [{kind: images, show: [phas]}]\n", "6:33", ["phas", "'phase'"]),
}

# (what stands for the object, for the probe and for the scan, line:column, what the message says)
PARTS = {
    "unknown object": (OBJECT.replace("texture", "textur"), PROBE, "", "3:12", ["textur", "'texture'"]),
    "unknown object setting": (OBJECT.replace("size", "siz"), PROBE, "", "3:27", ["siz", "'size'"]),
    "object without a kind": ("{size: 32}", PROBE, "", "3:3", ["'kind' is missing", "texture"]),
    "object is text": ("textur", PROBE, "", "3:3", ["textur", "'texture'"]),
    "size is text": (OBJECT.replace("32", "big"), PROBE, "", "3:27", ["size", '"big"', "integer"]),
    "size is a fraction": (OBJECT.replace("32", "32.5"), PROBE, "", "3:27", ["size", "32.5", "integer"]),
    "size beyond all memory": (OBJECT.replace("32", "100000000"), PROBE, "", "3:27", ["100000000"]),
    "probe too large": (OBJECT, PROBE.replace("16", "64"), "", "4:", ["64 x 64", "32 x 32"]),
    "missing file": ("{kind: file, path: nope.npy}", PROBE, "", "3:24", ["nope.npy", "No such file"]),
    "folder for a file": ("{kind: file, path: .}", PROBE, "", "3:24", ["directory"]),
    "no path": ("{kind: file}", PROBE, "", "3:3", ["'path' is missing"]),
    "unknown kind of file": ("{kind: file, path: text.png}", PROBE, "", "3:", [r"text\.png", r"\.npy"]),
    "array of one dimension": ("{kind: file, path: line.npy}", PROBE, "", "3:", [r"line\.npy", r"\(5,\)"]),
    "array with NaN": ("{kind: file, path: nan.npy}", PROBE, "", "3:", [r"nan\.npy", "NaN"]),
    "wrong key": ("{kind: file, path: two.npz, key: c}", PROBE, "", "3:", ["'c'", "first, second"]),
    "no key": ("{kind: file, path: two.npz}", PROBE, "", "3:", ["no key", "first, second"]),
    "no such image": ("{kind: images, size: 32, phase: moom}", PROBE, "", "3:36", ["moom", "'moon'"]),
    "unreadable image": ("{kind: images, size: 32, phase: text.png}", PROBE, "", "3:", [r"text\.png"]),
    "image of four dimensions": ("{kind: images, size: 32, phase: stack.tiff}", PROBE, "", "3:",
                                 [r"stack\.tiff", r"\(2, 5, 6, 7\)"]),
    "image of one grey": ("{kind: images, size: 32, phase: grey.png}", PROBE, "", "3:", [r"grey\.png", "7"]),
    "hash given by hand": ("{kind: images, size: 32, phase_sha256: abc}", PROBE, "",
        "3:36", ["phase_sha256"]),
    "probe that is no square": (OBJECT, "{kind: file, path: wide.npy}", "",
        "4:", [r"wide\.npy", r"\(16, 20\)"]),
    "probe of zeros": (OBJECT, "{kind: file, path: zero.npy}", "", "4:", [r"zero\.npy", "zero"]),
    "probe of negative power": (OBJECT, "{kind: file, path: flat.npy, power: -3}", "", "4:", ["power", "-3"]),
    "scan beyond the object": (OBJECT, PROBE, "{kind: file, path: far.npy}",
        "5:", [r"far\.npy", "116", "32"]),
    "scan of one dimension": (OBJECT, PROBE, "{kind: file, path: line.npy}",
        "5:", [r"line\.npy", r"\(N, 2\)"]),
    "scan of nothing": (OBJECT, PROBE, "{kind: file, path: none.npy}", "5:", [r"none\.npy"]),
}  # fmt: skip

# (the whole text, line:column, what the message says)
TEXTS = {
    "not YAML": ("study: t\nproblem: {noise: [\n", "3:1", ["not valid YAML"]),
    "tab": ("study: t\nproblem:\n\tnoise: 1\n", "3:1", ["not valid YAML", r"\\t"]),
    "control character": ("study: t\nseed: \x01\n", "2:7", ["not valid YAML"]),
    "two documents": ("study: a\n---\nstudy: b\n", "2:1", ["another document"]),
    "a list": ("- a\n", "1:1", ["study: NAME"]),
    "a word": ("hello\n", "1:1", ["study: NAME", "hello"]),
    "empty": ("", "1:1", ["is empty"]),
    "comment only": ("# nothing yet\n", "1:1", ["is empty"]),
    "no name": ("seed: 1\n", "1:1", ["'study: NAME' is missing"]),
    "name with a slash": ("study: a/b\n", "1:1", ["study", "'a/b'"]),
    "name of dots": ("study: ..\n", "1:1", ["study", r"'\.\.'"]),
    "name without a value": ("study:\n", "1:1", ["study"]),
    "problem is text": ("study: t\nproblem: texture\n", "2:1", ["problem", "texture"]),
    "problem is text, with an axis": ("study: t\nproblem: texture\naxes: {problem.noise: [1]}\n", "2:1",
                                      ["problem", "texture"]),
    "stop is a number": ("study: t\nstop: 3\n", "2:1", ["stop", "3"]),
    "no iterations": ("study: t\nstop: {iterations: 0}\n", "2:8", ["iterations", "found 0"]),
}  # fmt: skip

# (overrides, what the message says besides the override)
SETS = {
    "impossible value": ("problem.noise=-1", ["problem.noise", "-1"]),
    "unknown field": ("problm.noise=1", ["problm.noise", "'problem'"]),
    "unknown deep field": ("problem.nois=1", ["nois", "'noise'"]),
    "short name": ("noise=1", ["noise", r"problem\.noise"]),
    "no value": ("noise", ["PATH=VALUE"]),
    "no path": ("=1", ["PATH=VALUE"]),
    "not YAML": ("seed=[1, 2", ["not valid YAML"]),
    "empty list": ("seed=[]", [r"found \[\]"]),
    "empty range": ("seed={range: 0}", ["range"]),
    "unknown solver": ("solver=magpi", ["magpi", "'magpie'"]),
    "levels too deep": ("solver={name: magpie, levels: 9}", ["levels", "9"]),
    "probe too large": ("problem.probe.size=64", ["64 x 64", "32 x 32"]),
    "below a number": ("seed.x=3", ["seed", "keys and values"]),
    "a part that is no mapping": ("problem=3", ["problem", "3"]),
    "no field of a run": ("title=x", ["title", "not part of a run"]),
    "no such image": ("problem.object={kind: images, magnitude: moom}", ["moom", "'moon'"]),
}


def refusal(path, *settings):
    """The one message with which a study is refused."""
    with pytest.raises(StudyError) as caught:
        plan_of(path, *settings)
    message = str(caught.value)
    assert "\n" not in message, "a message is one line"
    assert len(message) < 600
    return message


def check(message, place, fragments):
    assert f":{place}" in message, f"no '{place}' in: {message}"
    for fragment in fragments:
        assert re.search(fragment, message), f"no '{fragment}' in: {message}"


@pytest.mark.parametrize(("extra", "place", "fragments"), ADDED.values(), ids=ADDED)
def test_wrong_entries(tmp_path, extra, place, fragments):
    """The message names the place in the file, what was found, and what was meant or expected."""
    path = study_file(tmp_path, extra)
    message = refusal(path)
    assert message.startswith(str(path))
    check(message, place, fragments)


@pytest.mark.parametrize(("obj", "probe", "scan", "place", "fragments"), PARTS.values(), ids=PARTS)
def test_wrong_objects_probes_and_scans(tmp_path, obj, probe, scan, place, fragments):
    """Settings and files of the problem are checked before anything runs."""
    from skimage.io import imsave

    (tmp_path / "text.png").write_text("no image")
    np.save(tmp_path / "line.npy", np.ones(5))
    np.save(tmp_path / "nan.npy", np.full((16, 16), np.nan))
    np.save(tmp_path / "zero.npy", np.zeros((16, 16)))
    np.save(tmp_path / "flat.npy", np.ones((16, 16)))
    np.save(tmp_path / "wide.npy", np.ones((16, 20)))
    np.save(tmp_path / "far.npy", np.array([[0, 0], [100, 100]]))
    np.save(tmp_path / "none.npy", np.ones((0, 2)))
    np.savez(tmp_path / "two.npz", first=np.ones((16, 16)), second=np.ones((16, 16)))
    imsave(tmp_path / "stack.tiff", np.arange(2 * 5 * 6 * 7, dtype=np.uint8).reshape(2, 5, 6, 7))
    imsave(tmp_path / "grey.png", np.full((8, 8), 7, dtype=np.uint8), check_contrast=False)
    head = f"study: t\nproblem:\n  object: {obj}\n  probe: {probe}\n"
    path = study_file(tmp_path, f"  scan: {scan}\n" if scan else "", head=head)
    check(refusal(path), place, fragments)


@pytest.mark.parametrize(("text", "place", "fragments"), TEXTS.values(), ids=TEXTS)
def test_wrong_files(tmp_path, text, place, fragments):
    """What is no study is refused with the place where it stops being one."""
    check(refusal(study_file(tmp_path, head=text)), place, fragments)


@pytest.mark.parametrize(("setting", "fragments"), SETS.values(), ids=SETS)
def test_wrong_overrides(tmp_path, setting, fragments):
    """A wrong --set is named as it was given."""
    message = refusal(study_file(tmp_path, "zip: [{problem.noise: [1, 2], seed: [1, 2]}]\n"), setting)
    assert f"--set {setting}" in message
    for fragment in fragments:
        assert re.search(fragment, message), f"no '{fragment}' in: {message}"


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("problem.nois: 3\n", r"over\.yaml:1:1: .*'noise'"),
        ("seed: 1\nsolver: magpi\n", r"over\.yaml:2:1: .*'magpie'"),
        ("nois: 3\n", r"over\.yaml:1:1: 'nois' is not part of a run"),
        (
            "problem.object: {kind: file, path: '${NO_SUCH_FOLDER}/x.npy'}\n",
            r"over\.yaml:1:1: .*NO_SUCH_FOLDER",
        ),
        ("problem.object: {kind: file, path: a/x.npy}\n", r"over\.yaml:1:1: .*a/x\.npy"),
        ("[1]\n", r"over\.yaml:1:1: overrides are a mapping"),
        ("seed: 1\nseed: 2\n", r"over\.yaml:2:1: not valid YAML"),
    ],
)
def test_wrong_override_files(tmp_path, monkeypatch, text, fragment):
    """An override file is named with line and column."""
    monkeypatch.delenv("NO_SUCH_FOLDER", raising=False)
    overrides = tmp_path / "over.yaml"
    overrides.write_text(text)
    with pytest.raises(StudyError, match=fragment):
        make_plan(load_study(study_file(tmp_path), load_overrides(overrides)))


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("tinny.yaml", r"No such file.*did you mean .*tiny\.yaml"),
        (".", "folder|directory"),
        ("x/y.yaml", "No such"),
    ],
)
def test_no_such_study(tmp_path, name, fragment):
    """A missing file is named, with the one that may be meant; a folder is no study."""
    study_file(tmp_path)
    with pytest.raises(StudyError, match=fragment):
        load_study(tmp_path / name)


def test_study_that_is_not_utf8(tmp_path):
    """Another encoding is refused with the place of the first strange byte."""
    (tmp_path / "latin.yaml").write_bytes("study: t\ntitle: caf\xe9\n".encode("latin-1"))
    with pytest.raises(StudyError, match=r"latin\.yaml:2:11: not a text file"):
        load_study(tmp_path / "latin.yaml")


def test_byte_order_mark_is_no_obstacle(tmp_path):
    """A study saved by an editor that marks its encoding is read."""
    (tmp_path / "bom.yaml").write_text(HEAD, encoding="utf-8-sig")
    assert load_study(tmp_path / "bom.yaml").name == "tiny"


def test_override_is_parsed_as_yaml():
    """Values are YAML: numbers, switches, lists, text with an equals sign."""
    assert parse_override(" a.b = 1e-4").path == "a.b"
    assert parse_override("a=1e-4").value == 1e-4
    assert parse_override("a=off").value is False
    assert parse_override("a=[1, x]").value == [1, "x"]
    assert parse_override("a=b=c").value == "b=c"
