"""Installs wheels aside, without network, and tells device and libraries. A part of ``gpu.py``."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from parts import write_json

STAND_INS = ("hdf5plugin",)  # imported for the filters of detectors' files alone, none of which is read here


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, help="a folder of wheels")
    parser.add_argument("--site", type=Path, required=True, help="where packages go; on PYTHONPATH")
    parser.add_argument("--backends", required=True, help="comma-separated")
    parser.add_argument("--figures", type=Path, required=True)
    options = parser.parse_args()
    wheels = sorted(options.wheels.glob("*.whl")) if options.wheels else []
    if wheels:
        install(wheels, options.site)
    stood_in = [name for name in STAND_INS if find_spec(name) is None]
    for name in stood_in:
        (options.site / f"{name}.py").write_text(
            '"""Not installed here; what it adds to h5py is not used."""\n'
        )
    importlib.invalidate_caches()
    found, missing = devices(options.backends.split(","))
    figures = {
        "wheels": len(wheels),
        "stood_in": stood_in,
        "certificates": find_spec("cryptography") is not None,
        "device": found,
        "missing": missing,
        "machine": machine(),
    }
    write_json(options.figures, figures)
    for name, why in missing.items():
        print(f"{name}: {why}")
    if not found:
        sys.exit("no backend of a GPU can be used: " + "; ".join(missing.values()))


def install(wheels: list[Path], site: Path) -> None:
    """Unpack ``wheels`` into ``site``, which comes before what is installed."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    alone = ["--no-index", "--no-deps", "--no-compile", "--no-cache-dir"]
    subprocess.run([*pip, *alone, "--target", str(site), *map(str, wheels)], check=True)


def devices(names: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """What each backend says of its device, and why others cannot be used."""
    from ptychosuite.backends.arrays import backend
    from ptychosuite.errors import BackendError

    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name in names:
        try:
            chosen = backend(name)
            told = chosen.device_description()
        except BackendError as error:
            missing[name] = str(error)
            continue
        told.pop("gpu_uuid", None)
        if told and not told.get("gpu_driver"):
            told["gpu_driver"] = driver()
        found[name] = {**told, "memory_bytes": chosen.memory_bytes()}
    return found, missing


def driver() -> str:
    """The driver's version as NVML knows it, where the kernel does not tell."""
    with contextlib.suppress(Exception):  # NVML raises one class for each of its codes
        import pynvml

        pynvml.nvmlInit()
        return str(pynvml.nvmlSystemGetDriverVersion())
    return "unknown"


def machine() -> dict[str, Any]:
    from timing import machine as described

    return described()


if __name__ == "__main__":
    main()
