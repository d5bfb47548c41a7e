"""Stores on the disk and on object storage, for tests that hold for both."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

NUMBERS = count()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a local server that speaks S3, conditional requests included."""
    pytest.importorskip("obstore", reason="object storage needs pip install 'ptychosuite[s3]'")
    moto = pytest.importorskip("moto.moto_server.werkzeug_app", reason="tests of object storage need moto")
    serving = pytest.importorskip("werkzeug.serving")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # S3 alone: moto's whole server looks at every request for which of a hundred services it is
    application = moto.create_backend_app("s3")
    server = serving.make_server("127.0.0.1", 0, application, True, request_handler=moto.MotoRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def bucket(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a new bucket; the environment names its server."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")
    name = f"bucket-{next(NUMBERS)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture(params=["disk", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a store may be made: in a folder, then in a bucket."""
    if request.param == "disk":
        return str(tmp_path / "r")
    return f"{request.getfixturevalue('bucket')}/some/r"
