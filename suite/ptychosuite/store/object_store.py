"""A lock on object storage: an object that its holder renews, and that others take over when he does not.

Results on S3 and what speaks its protocol: one object a file, written by conditional requests.

The server is found by the standard environment variables: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
AWS_SESSION_TOKEN, AWS_REGION, AWS_ENDPOINT_URL.

Zarr's view of object storage, with errors that a user can act on.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO
from uuid import uuid4

from zarr.storage import ObjectStore

from ptychosuite.errors import StoreError
from ptychosuite.store.place import Place, is_alive

if TYPE_CHECKING:
    from obstore.store import S3Store
    from zarr.abc.store import ByteRequest
    from zarr.abc.store import Store as ZarrStore
    from zarr.core.buffer import Buffer, BufferPrototype

POLL_S = 0.2
LEASE_S = 60.0  # a lock that has not been renewed for so long is nobody's


class Lease:
    """Holding a lock object: made by a conditional request, renewed by a thread, deleted at the end.

    A holder that was killed is recognised by its process id on its own host, elsewhere by an object that
    has not changed for ``LEASE_S`` seconds of the waiting process' clock.
    """

    def __init__(self, lock: ObjectPlace) -> None:
        self._lock = lock
        self._holder = {"host": os.uname().nodename, "pid": os.getpid(), "id": uuid4().hex}
        self._e_tag = ""
        self._released = threading.Event()
        self._renewer = threading.Thread(target=self._renew, daemon=True)

    def acquire(self) -> None:
        seen, since = "", time.monotonic()
        while not self._lock.create(self._content()):
            try:
                content, e_tag = self._lock.version()
            except FileNotFoundError:
                continue
            if e_tag != seen:
                seen, since = e_tag, time.monotonic()
            if content == self._content():  # our request came through, its answer did not
                break
            stale = _has_died(content) or time.monotonic() - since > LEASE_S
            if stale and self._lock.put_if(self._content(), e_tag):
                break
            time.sleep(POLL_S)
        self._e_tag = self._lock.version()[1]
        self._renewer.start()

    def release(self) -> None:
        self._released.set()
        self._renewer.join()
        with contextlib.suppress(FileNotFoundError):
            if self._lock.version()[1] == self._e_tag:
                self._lock.delete()

    def _content(self) -> bytes:
        return json.dumps(self._holder).encode()

    def _renew(self) -> None:
        while not self._released.wait(LEASE_S / 4):
            self._holder["renewed"] = time.time()
            with contextlib.suppress(StoreError):  # the next attempt may get through
                self._e_tag = self._lock.put_if(self._content(), self._e_tag) or self._e_tag


def _has_died(content: bytes) -> bool:
    holder = json.loads(content)
    return holder["host"] == os.uname().nodename and not is_alive(holder["pid"])


TAIL = 64 * 1024  # bytes fetched first of a file that is read in parts; all of a run but its images
COPIES = 16  # made at once
RETRY: dict[str, Any] = {"max_retries": 6, "retry_timeout": timedelta(seconds=60)}

REASONS = {
    "NoSuchBucket": "the bucket does not exist; create it, or name another with --results",
    "AccessDenied": "access denied; these credentials may not do that there",
    "403 Forbidden": "access denied; these credentials may not do that there",
    "InvalidAccessKeyId": "the server does not know AWS_ACCESS_KEY_ID",
    "SignatureDoesNotMatch": "the server refuses AWS_SECRET_ACCESS_KEY",
    "169.254.169.254": "no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "error sending request": "the server does not answer; see AWS_ENDPOINT_URL and the network",
}
"""What a server's or the library's words mean, and what to do."""


def object_place(url: str) -> ObjectPlace:
    """The place at ``s3://bucket/key``.

    Raises
    ------
    StoreError
        Another scheme, no bucket, or obstore is not installed.
    """
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.strip("/").partition("/")
    if scheme != "s3" or not bucket:
        raise StoreError(f"found '{url}'; expected a folder or s3://BUCKET/PREFIX")
    try:
        import obstore  # noqa: F401
    except ImportError as error:
        raise StoreError(
            f"{url} needs the package obstore, which is not installed: pip install 'ptychosuite[s3]'"
        ) from error
    return ObjectPlace(bucket, key)


@cache
def _client(url: str) -> S3Store:
    from obstore.store import S3Store

    return S3Store.from_url(url, client_options={"allow_http": True}, retry_config=RETRY)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """An object, or all objects whose keys begin alike."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def __truediv__(self, key: str) -> ObjectPlace:
        return ObjectPlace(self.bucket, f"{self.key}/{key}".lstrip("/"))

    def as_root(self) -> ObjectPlace:
        """Nothing more: there are no folders to make, and the store itself looks whether it is there."""
        return self

    @property
    def name(self) -> str:
        return self.key.rpartition("/")[2]

    @property
    def address(self) -> str:
        return str(self)

    @property
    def _bucket(self) -> S3Store:
        return _client(f"s3://{self.bucket}")

    def exists(self) -> bool:
        with self.refusals():
            try:
                self._bucket.head(self.key)
            except FileNotFoundError:
                return False
            return True

    def files(self) -> Iterator[str]:
        return (key for key in self._all_files() if "/." not in f"/{key}")

    def read(self) -> bytes:
        with self.refusals():
            return bytes(self._bucket.get(self.key).bytes())

    def open(self) -> BinaryIO:
        with self.refusals():
            found = self._bucket.get(self.key, options={"range": {"suffix": TAIL}})
            return io.BufferedReader(_Parts(self, found.meta["size"], bytes(found.bytes())), TAIL)

    def create(self, content: bytes, durable: bool = True) -> bool:
        """One conditional PUT."""
        from obstore.exceptions import AlreadyExistsError

        with self.refusals():
            try:
                self._bucket.put(self.key, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

    def replace(self, content: bytes) -> None:
        with self.refusals():
            self._bucket.put(self.key, content, use_multipart=False)

    def delete(self) -> None:
        """The group's own metadata go first: without them, what is left of it is nothing to a reader."""
        with self.refusals():
            self._bucket.delete([self.key, f"{self.key}/zarr.json"])
            self._bucket.delete([f"{self.key}/{key}" for key in self._all_files()])

    def ends_as_zip(self) -> bool:
        """An object is there whole or not at all."""
        return True

    def ends_with_checksum(self) -> bool:
        """The server keeps checksums of its own."""
        return True

    def set_aside(self, target: Place) -> None:
        """A copy on the server, then the original is deleted."""
        assert isinstance(target, ObjectPlace)
        self._copy_to(target)
        self.delete()

    def unwritable(self, below: bool = True) -> str:
        """The server knows, and says so at the first request."""
        return ""

    def share(self) -> None:
        """Who may do what is the server's matter."""

    def move_to(self, target: Place) -> None:
        """Copies on the server; the group's own metadata come last, and until then there is no group."""
        assert isinstance(target, ObjectPlace)
        target.delete()
        keys = [key for key in self._all_files() if key != "zarr.json"]
        with ThreadPoolExecutor(COPIES) as pool:
            list(pool.map(lambda key: (self / key)._copy_to(target / key), keys))
        (self / "zarr.json")._copy_to(target / "zarr.json")
        self.delete()

    def zarr_store(self, read_only: bool = False) -> ZarrStore:
        return ReadableObjectStore(self, _client(str(self)), read_only)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """A lease: an object that its holder renews, and that another takes over when he no longer does."""
        lease = Lease(self)
        lease.acquire()
        try:
            yield
        finally:
            lease.release()

    @contextmanager
    def refusals(self, reading: bool = False) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except (BaseError, OSError) as error:
            if isinstance(error, FileNotFoundError) and "NoSuchBucket" not in str(error):
                raise
            found = str(error).partition("\n\nDebug source")[0]
            reason = next((text for sign, text in REASONS.items() if sign in str(error)), found)
            raise StoreError(f"{self}: {reason}. What is stored already is unharmed") from error

    def leftovers(self) -> Iterator[str]:
        """None: an object is there whole or not at all."""
        return iter(())

    def remove_leftovers(self) -> int:
        """An object is there whole or not at all."""
        return 0

    def _copy_to(self, target: ObjectPlace) -> None:
        with self.refusals():
            self._bucket.copy(self.key, target.key)

    def _all_files(self) -> Iterator[str]:
        with self.refusals():
            for page in self._bucket.list(f"{self.key}/"):
                for item in page:
                    yield item["path"].removeprefix(f"{self.key}/")

    def put_if(self, content: bytes, e_tag: str) -> str | None:
        """Replace the version ``e_tag`` of this object; the new one's, or None where another is there."""
        from obstore.exceptions import PreconditionError

        with self.refusals():
            try:
                result = self._bucket.put(self.key, content, mode={"e_tag": e_tag}, use_multipart=False)
            except (PreconditionError, FileNotFoundError):
                return None
            return result["e_tag"]

    def version(self) -> tuple[bytes, str]:
        """Content and version of this object."""
        with self.refusals():
            found = self._bucket.get(self.key)
            return bytes(found.bytes()), str(found.meta["e_tag"])

    def part(self, start: int, length: int) -> bytes:
        with self.refusals():
            return bytes(self._bucket.get_range(self.key, start=start, length=length))


class _Parts(io.RawIOBase):
    """An object read in parts; its tail is at hand."""

    def __init__(self, source: ObjectPlace, size: int, tail: bytes) -> None:
        self._source, self._size, self._tail = source, size, tail
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        length = min(len(buffer), self._size - self._position)
        if length <= 0:
            return 0
        in_tail = self._position - (self._size - len(self._tail))
        if in_tail >= 0:
            content = self._tail[in_tail : in_tail + length]
        else:
            content = self._source.part(self._position, length)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class ReadableObjectStore(ObjectStore):  # type: ignore[misc]  # Zarr is Any to mypy
    """Chunks are fetched when somebody looks at them, far from here: the error is made readable here."""

    def __init__(self, place: Place, client: S3Store, read_only: bool) -> None:
        super().__init__(client, read_only=read_only)
        self._place = place

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        with self._place.refusals():
            return await super().get(key, prototype, byte_range)

    def with_read_only(self, read_only: bool = False) -> ReadableObjectStore:
        return ReadableObjectStore(self._place, self.store, read_only)
