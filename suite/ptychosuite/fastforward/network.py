"""A trained network as a fast-forward operator, and the file it is kept in.

A checkpoint holds weights and a model card in one safetensors file, which can hold no code. The card says how
the network is built, what it was trained on and with, what was held out, and how it did. The operator kind
``network`` names one; it is loaded when it is first applied.
"""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from annotated_types import Ge, Le
from jaxtyping import Complex
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ptychosuite.backends.arrays import Array, is_on_gpu, namespace
from ptychosuite.core.problem import Problem
from ptychosuite.errors import DataFileError
from ptychosuite.fastforward.features import CHANNELS, from_pupil, views
from ptychosuite.fastforward.operator import Operator, Snapshot
from ptychosuite.problems.files import check_unchanged
from ptychosuite.registry.validation import SettingError, as_mapping, validate

if TYPE_CHECKING:
    from ptychosuite.fastforward.unet import Pair

FORMAT = "ptychosuite fast-forward 1"
DEFAULT = Path(__file__).parent / "checkpoints" / "default.safetensors"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """How the networks are built, and what they see: what the model card has to say."""

    channels: Annotated[int, Ge(1), Le(1000)]
    width: Annotated[int, Ge(1), Le(1000)]
    whole_field: bool = False
    without_drift: bool = False

    def build(self) -> Pair:
        """The networks, with weights of their own."""
        from ptychosuite.fastforward.unet import Pair

        return Pair(self.channels, self.width, self.whole_field)


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint file holds."""

    weights: Mapping[str, np.ndarray]  # name -> float32
    card: Mapping[str, Any]  # plain data; "architecture" says how the network is built

    @property
    def architecture(self) -> Architecture:
        """What the card says of it.

        Raises
        ------
        SettingError
            It cannot be; its path counts from the card.
        """
        found = as_mapping(self.card, ("card",)).get("architecture")
        built: Architecture = validate(Architecture, found, ("architecture",))
        return built

    def write(self, path: Path) -> None:
        """Write ``path``, whole or not at all.

        Raises
        ------
        DataFileError
            It cannot be written there.
        """
        metadata = {"format": FORMAT, "card": json.dumps(self.card, sort_keys=True)}
        content = save({name: np.ascontiguousarray(value) for name, value in self.weights.items()}, metadata)
        write_atomically(path, content)

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Read ``path``.

        Raises
        ------
        DataFileError
            It is missing, no safetensors file, or no checkpoint of this kind; its card lacks something, or
            its weights are not those that the card names.
        """
        try:
            with safe_open(str(path), framework="np") as file:
                metadata = file.metadata() or {}
                weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, TypeError) as error:  # TypeError: numbers that NumPy does not have
            raise DataFileError(
                f"{path} cannot be read as a checkpoint: {_one_line(error)}; expected a .safetensors file "
                "written by ptychosuite train"
            ) from error
        if metadata.get("format") != FORMAT:
            raise DataFileError(
                f"{path} is no fast-forward checkpoint of this version: found format "
                f"{metadata.get('format', '')!r}, expected '{FORMAT}'; train one with ptychosuite train"
            )
        try:
            found = cls(weights, json.loads(metadata.get("card", "null")))
            _ = found.architecture
        except (ValueError, RecursionError, SettingError) as error:
            where = ".".join(map(str, getattr(error, "path", ())))
            raise DataFileError(
                f"{path}: the model card cannot be: {where} {_one_line(error)}; train the network again with "
                "ptychosuite train"
            ) from error
        if found.card.get("weights_sha256", expected := weights_sha256(weights)) != expected:
            raise DataFileError(
                f"{path} is damaged: its weights are not those that its card names; get the file again"
            )
        return found


def weights_sha256(weights: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of weights, of any shapes, in the order of their names."""
    return sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest()


def write_atomically(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` in one step, over what is there.

    Raises
    ------
    DataFileError
        It cannot be written there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise DataFileError(f"cannot write {path}: {error.strerror or error}") from error


def _shapes(weights: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in weights.items()}


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


@dataclass(frozen=True, eq=False)
class Network:
    """Object and probe further on, as the networks of a checkpoint see them.

    A known probe stays as it is.
    """

    modules: Any  # ptychosuite.fastforward.unet.Pair, in evaluation mode on the CPU
    without_drift: bool = False

    @classmethod
    def load(cls, path: str | Path) -> Network:
        """The networks of a checkpoint file. No code in the file is executed.

        Raises
        ------
        DataFileError
            The file is missing, damaged, or its weights do not fit the architecture its card names.
        """
        import torch

        checkpoint = Checkpoint.read(Path(path))
        built = checkpoint.architecture
        with torch.device("meta"):  # no memory is taken before it is known that the weights fit
            expected = _shapes(replace(built, channels=CHANNELS).build().state_dict())
        found = _shapes(checkpoint.weights)
        wrong = [name for name in sorted({*expected, *found}) if expected.get(name) != found.get(name)]
        reason = ""
        if built.channels != CHANNELS:
            reason = f"it sees {built.channels} channels, this version has {CHANNELS}"
        elif wrong:
            reason = f"{wrong[0]!r} is {found.get(wrong[0])}, expected {expected.get(wrong[0])}"
        if reason:
            raise DataFileError(
                f"{path} does not fit this version's network: {reason}; train one with ptychosuite train"
            )
        modules = built.build()
        modules.load_state_dict({name: torch.from_numpy(value) for name, value in checkpoint.weights.items()})
        return cls(modules.eval(), built.without_drift)

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
        """Object and probe further on; costs a forward pass and one pass over the data."""
        seen = views(problem, now, before, self.without_drift)
        obj = now.object + seen.object.step(self._apply("object", seen.object.channels))
        if problem.probe_known:
            return obj, now.probe
        step = seen.probe.step(self._apply("probe", seen.probe.channels))
        return obj, now.probe + from_pupil(step)

    def _apply(self, name: str, channels: Array) -> Array:
        """The change (2, h, w) that one network predicts, in the library of ``channels`` (7, h, w)."""
        import torch

        module = self._on_gpu[name] if is_on_gpu(channels) else getattr(self.modules, name)
        with torch.inference_mode():
            x = torch.from_dlpack(channels)[None].to(torch.float32, memory_format=torch.channels_last)
            change = module(x)[0].contiguous()
        if isinstance(channels, np.ndarray):
            return change.numpy()
        return namespace(channels).from_dlpack(change)

    @cached_property
    def _on_gpu(self) -> dict[str, Callable[[Any], Any]]:
        return {name: copy.deepcopy(getattr(self.modules, name)).cuda() for name in ("object", "probe")}


@dataclass(frozen=True, kw_only=True)
class Trained(Operator):
    """A trained network.

    Parameters
    ----------
    checkpoint
        "default", which comes with the package, or the path of a .safetensors file.
    """

    bundled_files: ClassVar[Mapping[str, Path]] = {"default": DEFAULT}

    checkpoint: str = "default"
    checkpoint_sha256: str = ""

    def advance(
        self, problem: Problem, now: Snapshot, before: Snapshot | None
    ) -> tuple[Complex[Array, "H W"], Complex[Array, "m m"]]:
        """What the network makes of ``now`` and ``before``.

        Raises
        ------
        DataFileError
            The checkpoint is missing, damaged, or no longer the one that was planned.
        """
        path = self.bundled_files.get(self.checkpoint, Path(self.checkpoint))
        return _loaded(path, self.checkpoint_sha256).advance(problem, now, before)


@lru_cache(maxsize=4)
def _loaded(path: Path, sha256: str) -> Network:
    check_unchanged(str(path), sha256)
    return Network.load(path)
