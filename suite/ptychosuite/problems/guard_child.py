"""Go over files as their readers will, in a process of its own: the HDF5 library may crash or hang at them.

Run as a script, which :mod:`ptychosuite.problems.guard` does: a path a line comes in as JSON, what is found
goes out. Each thing is named before it is touched, so that who listens knows at what a process ended that
says no more. Errors are passed over: the readers meet them as well, and tell them.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import math
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
READ_WHOLE = 32 * 2**20  # bytes of a file's arrays that are read; of what goes beyond, first and last
LARGEST_PIECE = 256 * 2**20  # bytes of what is read at once
MOST_OBJECTS, MOST_FILES = 10_000, 100_000
IDLE_S = 20
LEAST_MEMORY = 4 * 2**30
PREFIX = {"link": "HDF5_EXT_PREFIX", "virtual": "HDF5_VDS_PREFIX", "raw": "HDF5_EXTFILE_PREFIX"}
"""Environment variable that names the folder in which HDF5 looks first, for each kind of linked file."""

Say = Callable[..., None]


def candidates(kind: str, name: str, owner: str) -> list[str]:
    """Where HDF5 looks for the file ``name`` that the file ``owner`` refers to, in its order."""
    beside = os.path.dirname(os.path.abspath(owner))
    prefix = os.environ.get(PREFIX[kind], "").replace("${ORIGIN}", beside)
    if kind == "raw":  # its numbers lie in the working directory, unless the variable says otherwise
        return [os.path.abspath(os.path.join(prefix, name))]
    last = os.path.basename(name) if os.path.isabs(name) else name
    folders = [beside, os.curdir, os.path.dirname(os.path.realpath(owner))]
    places = [os.path.abspath(os.path.join(each, last)) for each in ([prefix] if prefix else []) + folders]
    return list(dict.fromkeys(([name] if os.path.isabs(name) else []) + places))


def found_at(kind: str, name: str, owner: str) -> str:
    """The first of the ``candidates`` that is there, or nothing."""
    places = candidates(kind, name, owner)
    return next((each for each in places if os.path.exists(each) and not os.path.isdir(each)), "")


def is_hdf5(path: str) -> bool:
    """Whether a file's bytes say that it is HDF5; the signature may stand behind a user block."""
    with suppress(OSError), open(path, "rb") as file:
        place, size = 0, os.path.getsize(path)
        while place + len(HDF5_MAGIC) <= size:
            file.seek(place)
            if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
                return True
            place = max(512, 2 * place)
    return False


def walk_all(start: str, say: Say) -> None:
    """Walk a file and all that it refers to, each once."""
    waiting, seen = [start], set[str]()
    while waiting and len(seen) < MOST_FILES:
        path = waiting.pop(0)
        if os.path.realpath(path) in seen:
            continue
        seen.add(os.path.realpath(path))
        say("file", path)
        with suppress(Exception):
            for kind, name in walk(path, say):
                say("linked", kind, name)
                found = found_at(kind, name, path)
                if kind != "raw" and os.path.isfile(found) and is_hdf5(found):
                    waiting.append(found)


def walk(path: str, say: Say) -> list[tuple[str, str]]:
    """Touch all that is in a file; kind and name of each file that it refers to, in a fixed order."""
    if is_hdf5(path):
        return HDF5Walk(say).over(path)
    with open(path, "rb") as raw:
        unpacker: Any = {b"BZh": bz2.open, b"\x1f\x8b\x08": gzip.open}.get(raw.read(3), open)
    with unpacker(path, "rb") as stream:
        content = io.BytesIO(stream.read())
    if content.getvalue().startswith(HDF5_MAGIC):
        return HDF5Walk(say).over(content)
    import scipy.io

    scipy.io.loadmat(content)
    return []


class HDF5Walk:
    """One HDF5 file, object by object."""

    def __init__(self, say: Say) -> None:
        self.say, self.left = say, READ_WHOLE
        self.linked: list[tuple[str, str]] = []
        self.seen: set[int] = set()

    def over(self, file: Any) -> list[tuple[str, str]]:
        import h5py

        with h5py.File(file, "r") as opened:
            groups = [opened["/"]]
            for group in groups:  # grows on the way
                groups += self.members(group)
        return list(dict.fromkeys(self.linked))

    def members(self, group: Any) -> Iterator[Any]:
        """Touch what a group holds; yields the groups in it that were not seen before."""
        import h5py

        with self.at(group.name):
            self.seen.add(h5py.h5o.get_info(group.id).addr)
            touch_attributes(group)
            for name in sorted(group):
                with self.at(f"{group.name.rstrip('/')}/{name}"):
                    item = self.new(group, name)
                    if isinstance(item, h5py.Group):
                        yield item
                    elif isinstance(item, h5py.Dataset):
                        self.linked += files_of(item)
                        self.touch(item)
                        touch_attributes(item)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        """Say what is touched, and where the library has an error."""
        self.say("at", place)
        try:
            yield
        except (OSError, RuntimeError, LookupError):
            self.say("damaged", place)
        except Exception:  # h5py's own limits: types that NumPy does not have
            pass

    def new(self, group: Any, name: str) -> Any:
        """The object of that name, if it is one of this file that was not seen before."""
        import h5py

        link = group.get(name, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            self.linked.append(("link", link.filename))
        if not isinstance(link, h5py.HardLink) or len(self.seen) > MOST_OBJECTS:
            return None
        item = group[name]
        address = h5py.h5o.get_info(item.id).addr
        if address in self.seen:
            return None
        self.seen.add(address)
        return item

    def touch(self, dataset: Any) -> None:
        """Read the index of the chunks and the numbers, of a large dataset the first and the last."""
        shape, chunks = dataset.shape, dataset.chunks
        if shape is None or not math.prod(shape):
            return
        if chunks:
            with suppress(Exception):
                dataset.id.chunk_iter(lambda chunk: None)
        size = math.prod(shape) * dataset.dtype.itemsize
        if size <= self.left:
            self.left -= size
            dataset[()]
            return
        piece = chunks or (1, *shape[1:])
        if math.prod(piece) * dataset.dtype.itemsize <= LARGEST_PIECE:
            dataset[tuple(slice(0, length) for length in piece)]
            dataset[tuple(slice((n - 1) // m * m, n) for n, m in zip(shape, piece, strict=True))]


def touch_attributes(item: Any) -> None:
    """Read the attributes of ``item``, as far as it lets itself be read."""
    with suppress(Exception):
        for name in item.attrs:
            with suppress(Exception):
                item.attrs[name]


def files_of(dataset: Any) -> list[tuple[str, str]]:
    """Kind and name of the files in which the numbers of a dataset lie."""
    found: list[tuple[str, str]] = []
    with suppress(Exception):
        found += [("raw", name) for name, _, _ in dataset.external or ()]
        for source in dataset.virtual_sources() if dataset.is_virtual else ():
            if source.file_name != ".":
                found += [("virtual", name) for name in numbered(source.file_name, dataset.file.filename)]
    return found


def numbered(name: str, owner: str) -> list[str]:
    """The files that a source stands for: with %b in its name those from number 0 on that are there."""
    names: list[str] = []
    while len(names) < MOST_FILES:
        each = name.replace("%b", str(len(names))).replace("%%", "%")
        if names and ("%b" not in name or not found_at("virtual", each, owner)):
            break
        names.append(each)
    return names


def main() -> None:
    """Go over the files that are asked for on standard input, until it ends."""
    import resource

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    most = max(LEAST_MEMORY, memory // 2)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(Exception):
        import hdf5plugin  # noqa: F401  # registers the filters of detectors

    def say(*words: object) -> None:
        os.write(1, json.dumps(words).encode() + b"\n")

    signal.alarm(IDLE_S)  # whose signal ends the process, whatever a library is doing
    for line in sys.stdin:
        path, seconds = json.loads(line)
        signal.alarm(seconds)
        walk_all(path, say)
        say("done")
        signal.alarm(IDLE_S)


if __name__ == "__main__":
    main()
