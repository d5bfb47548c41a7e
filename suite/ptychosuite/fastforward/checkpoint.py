"""Checkpoint files: weights and a model card in one safetensors file, which can hold no code.

The card says how the network is built, what it was trained on and with, what was held out, and how it did.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ptychosuite.errors import DataFileError

FORMAT = "ptychosuite fast-forward 1"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    weights: Mapping[str, np.ndarray]  # name -> float32
    card: Mapping[str, Any]  # plain data; "architecture" says how the network is built

    def write(self, path: Path) -> None:
        """Write ``path``, whole or not at all."""
        from safetensors.numpy import save

        metadata = {"format": FORMAT, "card": json.dumps(self.card, sort_keys=True)}
        content = save({name: np.ascontiguousarray(value) for name, value in self.weights.items()}, metadata)
        write_atomically(path, content)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read ``path``.

        Raises
        ------
        DataFileError
            It is missing, no safetensors file, or no checkpoint of this kind.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(path), framework="np") as file:
                metadata = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise DataFileError(
                f"{path} cannot be read as a checkpoint: {error}; expected a .safetensors file written by "
                "ptychosuite train"
            ) from error
        if metadata.get("format") != FORMAT:
            raise DataFileError(
                f"{path} is no fast-forward checkpoint of this version: found format "
                f"'{metadata.get('format', '')}', expected '{FORMAT}'; train one with ptychosuite train"
            )
        return cls(weights, json.loads(metadata["card"]))


def write_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` in one step, over what is there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataFileError(f"cannot write {path}: {error.strerror or error}") from error
