"""Temporary folders that several processes of a user share, on machines with other users."""

from __future__ import annotations

import os
import stat
import tempfile

import pytest
from ptychosuite.cluster.temporary import temporary_of_user
from ptychosuite.errors import ClusterError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of this user, not yet made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"ptychosuite-{os.getuid()}"


def test_is_this_users_alone(folder):
    assert temporary_of_user("cores") == temporary_of_user("cores") == folder / "cores"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_what_others_may_write_to_is_refused(folder, tmp_path):
    folder.mkdir(mode=0o700)
    folder.chmod(0o770)
    with pytest.raises(ClusterError, match="open to other users"):
        temporary_of_user("cores")
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ClusterError, match="set TMPDIR"):
        temporary_of_user("cores")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_another_has_made_is_refused(folder):
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, -1)
    with pytest.raises(ClusterError, match="another user's"):
        temporary_of_user("cores")
