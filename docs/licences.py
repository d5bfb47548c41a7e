"""Write docs/licences.md: what an installation takes, what for, how large it is and under which licence.

Called by ``make licences`` in an environment that has the extras. Nothing is looked up elsewhere.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = ("fast", "dashboard", "jobqueue", "s3", "stem", "crate", "parquet", "netcdf")
OSI = "License :: OSI Approved :: "
LONGEST = 40  # characters of a licence; longer ones are the licence's text
TOLD_IN_FILES = {"hdf5plugin": "MIT; its filters have their own"}  # where metadata have none

WHY = {
    "annotated-types": "bounds of settings",
    "array-api-compat": "one code for NumPy, torch and CuPy",
    "bokeh": "Dask's dashboard",
    "click": "the command line",
    "cryptography": "throw-away certificates of clusters",
    "dask": "the cluster",
    "dask-jobqueue": "SLURM, PBS, LSF, Grid Engine",
    "distributed": "the cluster",
    "ducc0": "transforms, 1.5 to 2.5 times as fast as SciPy's",
    "h5netcdf": "export to NetCDF",
    "h5py": "measured data in HDF5",
    "hdf5plugin": "filters of detectors: bitshuffle, LZ4, Blosc, Zstandard",
    "jaxtyping": "shapes in annotations",
    "jinja2": "the report's page",
    "junitparser": "verdicts for CI servers",
    "matplotlib": "figures",
    "numba": "compiled loops on NumPy arrays",
    "numcodecs": "compression of results",
    "numpy": "arrays",
    "obstore": "results on S3",
    "packaging": "names of licences in bundles",
    "pandas": "tables",
    "pint": "units in files",
    "psutil": "memory and processes",
    "pyarrow": "export to Parquet",
    "pydantic": "checks of settings",
    "rich": "progress on a terminal",
    "rocrate": "bundles to publish",
    "rosettasciio": "files of electron microscopes",
    "ruamel-yaml": "studies, with line numbers for errors",
    "ruptures": "change points in the nightly trend",
    "safetensors": "checkpoints of networks",
    "scikit-image": "test images, structural similarity",
    "scipy": "transforms, statistics, MAT files",
    "threadpoolctl": "threads of linear algebra",
    "torch": "the fast-forward's network, the torch backends",
    "xarray": "the dataset of a study",
    "zarr": "the store",
}


def main() -> None:
    core = needed(PROJECT["dependencies"])
    print(HEAD.format(number=len(core), size=round(sum(map(megabytes, core.values())))))
    print(table(core))
    for extra in EXTRAS:
        more = {
            name: found
            for name, found in needed(PROJECT["optional-dependencies"][extra]).items()
            if name not in core
        }
        print(f"\n## Extra `{extra}`\n\n{table(more)}")
    print(TAIL, end="")


def needed(requirements: Iterable[str]) -> dict[str, Distribution]:
    """Name -> each distribution that these requirements take here, those of others among them."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found:
            continue
        try:
            found[name] = distribution(wanted.name)
        except PackageNotFoundError as error:
            raise SystemExit(
                f"{wanted.name} is not installed; 'make test' installs all that this needs"
            ) from error
        waiting += _requirements(found[name], wanted.extras)
    return dict(sorted(found.items()))


def _requirements(of: Distribution, extras: Iterable[str]) -> Iterator[Requirement]:
    for text in of.requires or ():
        each = Requirement(text)
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield each


def licence(of: Distribution) -> str:
    """What a distribution says of its licence: an expression, else classifiers, else a short text."""
    about = of.metadata
    said = about.get("License-Expression") or ""
    classified = [
        each.removeprefix(OSI) for each in about.get_all("Classifier") or () if each.startswith(OSI)
    ]
    free = (about.get("License") or "").strip()
    said = said or ", ".join(classified) or (free if len(free) <= LONGEST else "")
    return said or TOLD_IN_FILES.get(canonicalize_name(about["Name"]), "says none")


def megabytes(of: Distribution) -> float:
    """Of its files on the disk, but for what Python compiles of them."""
    return sum(file.size or 0 for file in of.files or () if file.suffix != ".pyc") / 1e6


def table(found: Mapping[str, Distribution]) -> str:
    """Markdown, the largest first."""

    def row(name: str) -> str:
        size = megabytes(found[name])
        cells = (name, WHY.get(name, ""), f"{size:.0f}" if size >= 1 else "< 1", licence(found[name]))
        return f"| {' | '.join(cells)} |"

    by_size = sorted(found, key=lambda name: (-int(megabytes(found[name])), name))
    lines = ["| package | what for | MB | licence |", "|---|---|---|---|", *map(row, by_size)]
    return "\n".join(lines)


HEAD = """# What an installation takes

<!-- Written by docs/licences.py: make licences -->

`pip install ptychosuite` takes these {number} packages, {size} MB on the disk with torch's build for CPUs
(Linux, x86-64). Those without a purpose are needed by others. The licence is what a package says of itself.

None of these is under the GPL. Two extras are: [`fast`](#extra-fast) (ducc0), which `make test` and the
nightly check install and `make demo` does not, and [`stem`](#extra-stem) (RosettaSciIO). ptychosuite itself,
under the MIT licence, has no code of theirs and works without them.

[Installation](install.md) has what is downloaded, and what can be left out.
"""

TAIL = """
## Extras `gpu` and `peers`

These are not in the environment that this page is made from. `gpu` takes CuPy, dask-cuda, RMM and NVIDIA's
libraries, some of which are under NVIDIA's own terms; `peers` takes pty-chi, cdtools and PtyLab with what
they need. `pip show NAME` says what each is under.
"""

if __name__ == "__main__":
    main()
