"""The files a run reads."""

from __future__ import annotations

import numpy as np
import pytest
from ptychosuite.errors import DataFileError
from ptychosuite.study.inputs import with_files_here

from tests.study.small import plan_text


def spec_with_file(folder):
    np.save(folder / "o.npy", np.ones((32, 32), complex))
    return plan_text(folder, "", "problem.object={kind: file, path: o.npy}").runs[0]


def test_file_that_moved_is_found_by_its_hash(tmp_path):
    """Another path, the same id; a file of the same name with other content is refused."""
    spec = spec_with_file(tmp_path)
    assert with_files_here(spec).to_dict() == spec.to_dict()
    (tmp_path / "new").mkdir()
    (tmp_path / "o.npy").rename(tmp_path / "new/o.npy")
    with pytest.raises(DataFileError, match=r"o\.npy is gone.*--data"):
        with_files_here(spec)
    found = with_files_here(spec, tmp_path / "new")
    assert found.problem["object"]["path"] == str(tmp_path / "new/o.npy")
    assert found.spec_id == spec.spec_id
    np.save(tmp_path / "new/o.npy", np.zeros((32, 32), complex))
    with pytest.raises(DataFileError, match="has changed"):
        with_files_here(spec, tmp_path / "new")


def test_checkpoint_that_comes_with_the_package(tmp_path):
    """A bundled checkpoint counts as long as it is the one that was used."""
    spec = plan_text(tmp_path, "", "fast_forward={warm_up: 1, jumps: 1}", "stop.iterations=40").runs[0]
    assert with_files_here(spec).spec_id == spec.spec_id
    spec.fast_forward["checkpoint_sha256"] = "0" * 64
    with pytest.raises(DataFileError, match=r"default\.safetensors has changed"):
        with_files_here(spec)
