"""Where results lie: one small interface to files, and what it means on a filesystem.

``store.object_store`` is the same for object storage; ``store.layout.place`` picks by the address, and what
is above never asks which one it has.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pwd
import re
import shutil
import stat
import struct
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TextIO

from ptychosuite.errors import StoreError

if TYPE_CHECKING:
    from zarr.abc.store import Store as ZarrStore

OF_FILES = (".zip", ".json")  # ends of the names of our files
SHARED = stat.S_ISGID | stat.S_IWGRP
END_OF_ZIP = struct.Struct("<4s4H2LH")  # the mark, numbers, length and start of the list of members, comment
CHECKSUM_BYTES = 4
BEHIND_HOST = "+"  # no host's name has it
NO_RIGHTS = "Ask its owner for the right to write there, or name another folder with --results"
NO_SPACE = "Free some space or name another folder with --results"
REMEDIES = {
    errno.EACCES: NO_RIGHTS,
    errno.EPERM: NO_RIGHTS,
    errno.ENOSPC: NO_SPACE,
    errno.EDQUOT: NO_SPACE,
    errno.EEXIST: "Set that aside with 'ptychosuite clean STUDY', or name another folder with --results",
    errno.ENAMETOOLONG: "Shorten the name of the study, or name another folder with --results",
}


MARKER = "store.json"  # without it a folder is no results folder, or no longer
WORKER_LOGS = ".worker-logs"  # folder of what workers print and note while they are at a run


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

    def as_root(self) -> Place:
        """This results folder, below which no folder is made once it has been moved or deleted."""

    def exists(self) -> bool:
        """Whether there is a file."""

    def files(self) -> Iterator[str]:
        """All files below, relative to here; what is hidden by a dot is left out.

        A folder that is called as our files are is told as one, and what is in it is not.
        """

    def ends_as_zip(self) -> bool:
        """Whether the end of a zip file is where it says, as it is not of one that was cut off."""

    def ends_with_checksum(self) -> bool:
        """Whether a file is what was written, by the CRC32C of it that it ends with."""

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

    def set_aside(self, target: Place) -> None:
        """Move whatever is here to ``target``, where nothing is."""

    def unwritable(self, below: bool = True) -> str:
        """Why nothing can be written here, or in a folder below; empty where it can."""

    def share(self) -> None:
        """Let a group that shares this folder use what others than we have made below it."""

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
    root: str = field(default="", compare=False)  # the results folder, without which nothing is made below it

    def __str__(self) -> str:
        return self.path

    def __fspath__(self) -> str:
        return self.path

    def __truediv__(self, key: str) -> LocalPlace:
        return LocalPlace(f"{self.path}/{key}", self.root)

    def as_root(self) -> LocalPlace:
        return LocalPlace(self.path, self.path)

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

    def ends_as_zip(self) -> bool:
        try:
            found = os.stat(self.path)
            return _ends_as_zip(self.path, found.st_ino, found.st_size, found.st_ctime_ns)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise StoreError(f"cannot read {self.path}: {error.strerror}") from error

    def ends_with_checksum(self) -> bool:
        with self.refusals(reading=True):
            found = os.stat(self.path)
            return _ends_with_checksum(self.path, found.st_ino, found.st_size, found.st_ctime_ns)

    def create(self, content: bytes, durable: bool = True) -> bool:
        """A temporary file beside the target is written, flushed to the disk and linked to its final name.

        What need not be durable is made under its name at once: who is killed meanwhile leaves it empty.
        """
        if not durable:
            return self._made_at_once(content)
        temporary = self._temporary()
        with self.refusals():
            try:
                _write(temporary, content, self.root)
                os.link(temporary, self.path)
                return True
            except FileExistsError:
                return self._is_taken()
            finally:
                _remove(temporary)

    def replace(self, content: bytes) -> None:
        temporary = self._temporary()
        with self.refusals():
            try:
                _write(temporary, content, self.root)
                os.replace(temporary, self.path)
            finally:
                _remove(temporary)

    def delete(self) -> None:
        with self.refusals():
            if os.path.isdir(self.path) and not os.path.islink(self.path):
                shutil.rmtree(self.path)
            else:
                Path(self.path).unlink(missing_ok=True)

    def set_aside(self, target: Place) -> None:
        """By its name alone: what is here need not be readable, nor a file."""
        with self.refusals():
            make_folder(os.path.dirname(str(target)), self.root)
            shutil.move(self.path, str(target))

    def unwritable(self, below: bool = True) -> str:
        """Asks for rights, and writes nothing."""
        for folder, inner, _ in os.walk(self.path):
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                return f"cannot write {folder}: {_why_unwritable(folder)}"
            if not below:
                inner.clear()
        return ""

    def share(self) -> None:
        with self.refusals():
            _share_with(self.path, os.path.dirname(self.path))

    def move_to(self, target: Place) -> None:
        """Two renames: between them there is none, and a kill there is made good by the next compaction."""
        old = LocalPlace(os.path.join(os.path.dirname(str(target)), f".{target.name}.old"))
        old.delete()
        with self.refusals():
            if os.path.lexists(str(target)):
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
                file = stack.enter_context(_opened_lock(self.path))
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
            if self.root and not os.path.isfile(f"{self.root}/{MARKER}"):
                raise has_gone(self.root) from error
            remedy = REMEDIES.get(error.errno or 0, "Name another folder with --results")
            raise StoreError(
                f"cannot write {self.path}: {error.strerror or error}; what is stored already is unharmed. "
                f"{remedy}, then run the same command again"
            ) from error

    def leftovers(self) -> Iterator[str]:
        """Temporary files, and folders of workers' logs, of processes of this host that are no more."""
        for key in _files(self.path):
            name = os.path.basename(key)
            if name.endswith(".tmp") and process_has_ended(name, "."):
                yield key
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for name in os.listdir(f"{self.path}/{WORKER_LOGS}"):
                if process_has_ended(name):
                    yield f"{WORKER_LOGS}/{name}"

    def remove_leftovers(self) -> int:
        found = list(self.leftovers())
        for key in found:
            (self / key).delete()
        return len(found)

    def _made_at_once(self, content: bytes) -> bool:
        with self.refusals():
            make_folder(os.path.dirname(self.path), self.root)
            try:
                file = open(self.path, "xb")  # noqa: SIM115 - what cannot be written does not stay
            except FileExistsError:
                return self._is_taken()
            try:
                with file:
                    _share(self.path)
                    file.write(content)
            except OSError:
                _remove(self.path)
                raise
            return True

    def _is_taken(self) -> bool:
        """False, as :meth:`create` says it, where a file is in the place of a new one, and nothing else."""
        if not os.path.isfile(self.path):
            raise FileExistsError(errno.EEXIST, "a folder or a link is in its place")
        return False

    def _temporary(self) -> str:
        folder, name = os.path.split(self.path)
        return os.path.join(folder, f".{this_process()}-{threading.get_ident()}-{name}.tmp")


def this_process() -> str:
    """Host and number of this process, as names of files have them."""
    return f"{os.uname().nodename}{BEHIND_HOST}{os.getpid()}"


def process_has_ended(name: str, begin: str = "") -> bool:
    """Whether ``name`` has :func:`this_process` after ``begin``, of a process of this host that is no more.

    Earlier versions wrote "host-number". There "node-12-345" is no file of "node": what follows the number
    may not be another one that could be a process'.
    """
    host = re.escape(f"{begin}{os.uname().nodename}")
    found = re.match(rf"{host}(?:{re.escape(BEHIND_HOST)}|-(?!\d+-\d{{1,9}}(?:-|$)))(\d+)(?:-|$)", name)
    return found is not None and not is_alive(int(found[1]))


def is_alive(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # it is there, and another user's
    return True


def has_gone(root: object) -> StoreError:
    """What is said where a results folder is no more into which something is to be written."""
    return StoreError(
        f"{root} has gone: it was moved or deleted meanwhile, there is no {MARKER} any more. Put it back, "
        "then run the same command again: it goes on with what is there"
    )


def _remove(path: str) -> None:
    """Delete a file where there is one."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        os.unlink(path)


def _write(path: str, content: bytes, root: str) -> None:
    """Write a file to the disk, past the caches; its folder is made where there is none."""
    make_folder(os.path.dirname(path), root)
    with open(path, "wb") as file:
        _share(path)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def make_folder(path: str, root: str = "") -> None:
    """Make a folder where there is none, and those above it; below a shared one they are shared, too.

    Raises
    ------
    FileNotFoundError
        It is to be made in the results folder ``root``, and that has gone.
    """
    if not path or os.path.isdir(path):
        return
    if root and not os.path.isfile(f"{root}/{MARKER}"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), root)
    make_folder(os.path.dirname(path), root)
    try:
        os.mkdir(path)
    except FileExistsError:
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
    else:
        _share(path)


def _share(path: str) -> None:
    """Give what was made in a shared folder the rights that the folder gives its group.

    A folder is shared that its group may write, and that hands its group on (``chmod g+ws``): whoever made
    it so means all of the group, whatever the umask of each.
    """
    of_folder = os.stat(os.path.dirname(path) or ".").st_mode
    if of_folder & SHARED != SHARED:
        return
    mode = stat.S_IMODE(os.stat(path).st_mode)
    wanted = mode | of_folder & (stat.S_IRWXG if os.path.isdir(path) else stat.S_IRGRP | stat.S_IWGRP)
    if wanted != mode:
        os.chmod(path, wanted)


def _share_with(path: str, folder: str) -> None:
    """Share ``path`` and what is below it, where ``folder`` is shared; what is another's has been."""
    if os.stat(folder or ".").st_mode & SHARED != SHARED:
        return
    with contextlib.suppress(PermissionError):
        _share(path)
    for where, below, files in os.walk(path):
        for name in (*below, *files):
            with contextlib.suppress(PermissionError):
                _share(os.path.join(where, name))


def _opened_lock(path: str) -> TextIO:
    """The file of a lock; that of another, who lets us read it only, will do."""
    try:
        file = open(path, "a")  # noqa: SIM115 - the caller closes it
    except PermissionError:
        return open(path)
    with contextlib.suppress(PermissionError):
        _share(path)
    return file


@lru_cache(maxsize=2**17)
def _ends_as_zip(path: str, inode: int, size: int, changed_ns: int) -> bool:
    """Whether a file ends as a zip file without a comment; looked at again where it has changed."""
    if size < END_OF_ZIP.size or not os.path.isfile(path):
        return False
    file = os.open(path, os.O_RDONLY)
    try:
        end = os.pread(file, END_OF_ZIP.size, size - END_OF_ZIP.size)
    finally:
        os.close(file)
    mark, *_, length, start, _ = END_OF_ZIP.unpack(end)
    return bool(mark == b"PK\5\6" and start + length + END_OF_ZIP.size == size)


@lru_cache(maxsize=2**17)
def _ends_with_checksum(path: str, inode: int, size: int, changed_ns: int) -> bool:
    """Whether the last four bytes of a file are the CRC32C of the others; read again where it has changed."""
    try:  # Zarr needs one of them
        from google_crc32c import value as crc32c
    except ImportError:
        from crc32c import crc32c  # type: ignore[import-not-found,no-redef]
    with open(path, "rb") as file:
        content = file.read()
    return size >= CHECKSUM_BYTES and content[-CHECKSUM_BYTES:] == crc32c(content[:-CHECKSUM_BYTES]).to_bytes(
        CHECKSUM_BYTES, "little"
    )


def _why_unwritable(folder: str) -> str:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        return "it is on a read-only file system"
    owner = os.stat(folder).st_uid
    with contextlib.suppress(KeyError):
        return f"you have no right to, it belongs to {pwd.getpwuid(owner).pw_name}"
    return f"you have no right to, it belongs to the user {owner}"


def _files(folder: str, prefix: str = "") -> Iterator[str]:
    """Files below ``folder``, relative to it; none where there is no folder."""
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False) and not entry.name.endswith(OF_FILES):
                yield from _files(entry.path, f"{prefix}{entry.name}/")
            elif entry.is_dir(follow_symlinks=False) or entry.is_symlink() or entry.is_file():  # no pipe
                yield f"{prefix}{entry.name}"
