"""Where results lie: one small interface to files, and what it means on a filesystem.

``store.object_store`` is the same for object storage; ``store.layout.place`` picks by the address, and what
is above never asks which one it has.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from ptychosuite.errors import StoreError

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore


class Place(Protocol):
    """A file, or a folder of files, by its address.

    Every method raises StoreError where the disk or the server refuses; ``read`` and ``open`` raise
    FileNotFoundError where there is nothing.
    """

    @property
    def name(self) -> str:
        """Last part of the address."""

    @property
    def address(self) -> str:
        """What names this place in another process."""

    def __truediv__(self, key: str) -> Place:
        """The place ``key`` (parts separated by slashes) below this one."""

    def exists(self) -> bool:
        """Whether there is a file."""

    def files(self) -> Iterator[str]:
        """All files below, relative to here; what is hidden by a dot is left out."""

    def read(self) -> bytes:
        """The whole file."""

    def open(self) -> BinaryIO:
        """The file, to be read in parts."""

    def create(self, content: bytes, durable: bool = True) -> bool:
        """Put ``content`` here in one step; False where something is here already.

        What is not ``durable`` may be lost by a power cut, and may be empty for a moment.
        """

    def replace(self, content: bytes) -> None:
        """Put ``content`` here in one step, whatever was here before."""

    def delete(self) -> None:
        """Remove the file, or the folder with all that is below it; nothing need be there."""

    def move_to(self, target: Place) -> None:
        """Put this Zarr group in the place of that at ``target``, whose readers see one of them or none."""

    def zarr_store(self, read_only: bool = False) -> ZarrStore:
        """This folder for Zarr."""

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes that lock this place waiting."""

    def refusals(self, reading: bool = False) -> AbstractContextManager[None]:
        """What others raise who write to this place, or only read from it, as a readable StoreError."""

    def leftovers(self) -> Iterator[str]:
        """What writers left below that are no more, relative to here."""

    def remove_leftovers(self) -> int:
        """Delete what :meth:`leftovers` tells; the number of files is returned."""


@dataclass(frozen=True, slots=True)
class LocalPlace:
    """A file or folder of this machine, or one that machines share."""

    path: str

    def __str__(self) -> str:
        return self.path

    def __fspath__(self) -> str:
        return self.path

    def __truediv__(self, key: str) -> LocalPlace:
        return LocalPlace(f"{self.path}/{key}")

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def address(self) -> str:
        return os.path.abspath(self.path)

    def exists(self) -> bool:
        return os.path.isfile(self.path)

    def files(self) -> Iterator[str]:
        with self.refusals(reading=True):
            yield from (key for key in _files(self.path) if "/." not in f"/{key}")

    def read(self) -> bytes:
        with self.refusals(reading=True):
            return Path(self.path).read_bytes()

    def open(self) -> BinaryIO:
        with self.refusals(reading=True):
            return open(self.path, "rb")

    def create(self, content: bytes, durable: bool = True) -> bool:
        """A temporary file beside the target is written, flushed to the disk and linked to its final name.

        What need not be durable is made under its name at once: who is killed meanwhile leaves it empty.
        """
        if not durable:
            return self._made_at_once(content)
        temporary = self._temporary()
        with self.refusals():
            try:
                _write(temporary, content)
                os.link(temporary, self.path)
                return True
            except FileExistsError:
                return False
            finally:
                with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                    os.unlink(temporary)

    def replace(self, content: bytes) -> None:
        temporary = self._temporary()
        with self.refusals():
            _write(temporary, content)
            os.replace(temporary, self.path)

    def delete(self) -> None:
        with self.refusals():
            if os.path.isdir(self.path):
                shutil.rmtree(self.path)
            else:
                Path(self.path).unlink(missing_ok=True)

    def move_to(self, target: Place) -> None:
        """Two renames: between them there is none, and a kill there is made good by the next compaction."""
        old = LocalPlace(os.path.join(os.path.dirname(str(target)), f".{target.name}.old"))
        old.delete()
        with self.refusals():
            if os.path.isdir(str(target)):
                os.rename(str(target), old.path)
            os.rename(self.path, str(target))
        old.delete()

    def zarr_store(self, read_only: bool = False) -> ZarrStore:
        from zarr.storage import LocalStore

        return LocalStore(self.path, read_only=read_only)

    @contextmanager
    def lock(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            with self.refusals():
                file = stack.enter_context(open(self.path, "w"))
                fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def refusals(self, reading: bool = False) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if reading:
                if isinstance(error, FileNotFoundError | NotADirectoryError):
                    raise
                raise StoreError(f"cannot read {self.path}: {error.strerror or error}") from error
            raise StoreError(
                f"cannot write {self.path}: {error.strerror or error}; what is stored already is unharmed. "
                "Free some space or name another folder with --results, then run the same command again"
            ) from error

    def leftovers(self) -> Iterator[str]:
        """Temporary files of processes of this host that are no more."""
        begin = f".{os.uname().nodename}-"
        for key in _files(self.path):
            name = os.path.basename(key)
            if not (name.startswith(begin) and name.endswith(".tmp")):
                continue
            pid = name.removeprefix(begin).split("-")[0]
            if pid.isdigit() and not is_alive(int(pid)):
                yield key

    def remove_leftovers(self) -> int:
        found = list(self.leftovers())
        for key in found:
            (self / key).delete()
        return len(found)

    def _made_at_once(self, content: bytes) -> bool:
        with self.refusals():
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            try:
                with open(self.path, "xb") as file:
                    file.write(content)
            except FileExistsError:
                return False
            return True

    def _temporary(self) -> str:
        folder, name = os.path.split(self.path)
        writer = f"{os.uname().nodename}-{os.getpid()}-{threading.get_ident()}"
        return os.path.join(folder, f".{writer}-{name}.tmp")


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and another user's
    return True


def _write(path: str, content: bytes) -> None:
    """Write a file to the disk, past the caches; its folder is made where there is none."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _files(folder: str, prefix: str = "") -> Iterator[str]:
    """Files below ``folder``, relative to it; none where there is no folder."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}"
