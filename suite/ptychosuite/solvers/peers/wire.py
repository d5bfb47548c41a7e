"""Messages between a worker and a peer's process: JSON and named arrays over a socket.

Nothing but NumPy and the standard library, and no pickles: both sides may have different versions.
"""

from __future__ import annotations

import io
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

LENGTHS = struct.Struct("<QQ")  # bytes of the JSON and of the arrays
PIECE = 2**20


def send(to: socket.socket, words: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> None:
    """Send one message: words, which go as JSON, and arrays of any shapes by name."""
    text, packed = json.dumps(words).encode(), io.BytesIO()
    if arrays:
        np.savez(packed, allow_pickle=False, **arrays)
    to.sendall(LENGTHS.pack(len(text), packed.tell()) + text)
    to.sendall(packed.getbuffer())


def receive(sender: socket.socket) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The words and arrays, of any shapes, of the next message.

    Raises
    ------
    EOFError
        The other side is gone.
    """
    n_text, n_packed = LENGTHS.unpack(_exactly(sender, LENGTHS.size))
    words = json.loads(_exactly(sender, n_text))
    if not n_packed:
        return words, {}
    with np.load(io.BytesIO(_exactly(sender, n_packed)), allow_pickle=False) as packed:
        return words, dict(packed)


def _exactly(sender: socket.socket, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        try:
            piece = sender.recv(min(size - len(content), PIECE))
        except ConnectionError as error:
            raise EOFError from error
        if not piece:
            raise EOFError
        content += piece
    return bytes(content)
