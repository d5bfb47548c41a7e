"""Files of measured data: what one holds, and problems written for other programs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ptychosuite.api.display import Displayed
from ptychosuite.api.planning import File, Settings, Study, overrides_of, plan_of
from ptychosuite.backends.arrays import backend
from ptychosuite.core.runs import RunSpec
from ptychosuite.errors import DataFileError, StudyError
from ptychosuite.problems.build import build_problem
from ptychosuite.problems.measured import MeasuredFile
from ptychosuite.problems.measured.description import description
from ptychosuite.problems.measured.format import ReadSettings
from ptychosuite.problems.measured.measurement import Measurement
from ptychosuite.problems.measured.of_problem import LENGTHS, measurement_of
from ptychosuite.problems.measured.writing import refuse_existing, write, writer
from ptychosuite.problems.problem_kind import START_PROBE, kind_of
from ptychosuite.registry.lookup import build
from ptychosuite.registry.validation import SettingError, validate
from ptychosuite.study.inputs import resolved_files
from ptychosuite.study.shipped import is_shipped

STUDY_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Converted(Displayed):
    """What :func:`convert` has written.

    Parameters
    ----------
    paths
        The files, the one that was named first.
    what
        What is in them, in words.
    left_out
        Parts that the layout has no place for.
    """

    paths: tuple[Path, ...]
    what: str
    left_out: tuple[str, ...]

    def __str__(self) -> str:
        files = ", ".join(map(str, self.paths))
        lines = [f"{self.what}: {files}"]
        if self.left_out:
            lines.append(f"left out, for which the layout has no place: {', '.join(self.left_out)}")
        return "\n".join(lines)


def describe_data(
    file: Study, settings: Settings = (), *, run: str | None = None, picture: File | None = None
) -> dict[str, Any]:
    """Say what a data file holds, and what is odd about it.

    Parameters
    ----------
    file
        A data file (CXI, NeXus, ptyd, HDF5, NPZ, MAT), or a study with measured data.
    settings
        Of a data file the settings of its problem, as in ``{"crop": 256}``; of a study overrides.
    run
        Which run of a study, by the first digits of its id; the first one by default.
    picture
        Gets mean pattern, scan, probe and mask.

    Returns
    -------
    Plain data: what was read, "from" where, all "arrays" and what they are used for, "suspicions". A file
    that cannot be read as it stands, and has arrays, has "not read" with the reason.

    Raises
    ------
    DataFileError
        The file is damaged, or no arrays are in it.
    StudyError
        A setting is wrong, or the study's data are simulated.
    """
    if _is_study(file):
        spec, _ = _run_of(file, settings, run)
        measured: Any = kind_of(spec.problem)
        if not isinstance(measured, MeasuredFile):
            raise StudyError("the data of this run are simulated; 'ptychosuite convert' writes them down")
    else:
        measured = _measured_file(os.fspath(file), settings)  # type: ignore[arg-type]  # no mapping
    found = description(measured)
    if picture and found.measurement is not None:
        _draw(Path(measured.path).name, found.measurement, Path(picture))
    return found.to_dict()


def _draw(title: str, measurement: Measurement, out: Path) -> None:
    from ptychosuite.reporting.pictures import draw_measurement  # loads matplotlib

    mean = measurement.diffraction_intensity.mean(axis=0, dtype=np.float64)
    mask, positions = measurement.detector_mask, measurement.scan_positions_px
    draw_measurement(title, positions, mean, measurement.modes, mask, out)


def convert(
    source: Study,
    out: File,
    to: str,
    settings: Settings = (),
    *,
    run: str | None = None,
    force: bool = False,
) -> Converted:
    """Write measured data, or the data of a study, for another program: what solvers are told, not the truth.

    Parameters
    ----------
    source
        A data file, or a study (file or dict), of which one run's problem is taken.
    out
        File to write; ptychodus gets a second one beside it, its product.
    to
        "cxi", "ptychodus", "ptyd", or another format that can be written.
    settings
        Of a data file the settings of its problem, as in ``{"crop": 256}``; of a study overrides, and for
        simulated data, which have no lengths, ``wavelength_m`` or ``energy_kev``, ``distance_m`` and
        ``detector_pixel_m``.
    run
        Which run of a study, by the first digits of its id; the first one by default.
    force
        Write over a file that is there.

    Raises
    ------
    DataFileError
        The source is damaged or does not say all that the layout takes, or a file is there already; nothing
        is written then.
    StudyError
        A setting is wrong, or there is no such form or run.
    """
    writer(to)  # before anything is computed
    refuse_existing([Path(out)], force)
    if _is_study(source):
        measurement, what = _of_study(source, settings, run)
    else:
        path = os.fspath(source)  # type: ignore[arg-type]  # no mapping
        measurement, what = _readable(_measured_file(path, settings)), f"{path}"
    written = write(measurement, Path(out), to, force)
    n, m = measurement.n_positions, measurement.probe_size
    return Converted(written.paths, f"{n} patterns of {m} x {m} pixels from {what}", written.left_out)


def _is_study(source: Study) -> bool:
    if isinstance(source, Mapping):
        return True
    return Path(source).suffix in STUDY_SUFFIXES or is_shipped(Path(source))


def _of_study(study: Study, settings: Settings, run: str | None) -> tuple[Measurement, str]:
    """The data of a run as solvers are told, and whose they are."""
    overrides = overrides_of(settings)
    lengths = {each.path: each.value for each in overrides if each.path in LENGTHS}
    spec, of_run = _run_of(study, [each for each in overrides if each.path not in LENGTHS], run)
    kind = kind_of(spec.problem)
    if isinstance(kind, MeasuredFile):
        measurement = _readable(replace(kind, **lengths))
        start = spec.problem.get(START_PROBE)
        if start is not None:
            probe = build("probes", start)
            measurement = replace(measurement, probe=probe.make(), probe_modes=probe.modes())
        return measurement, of_run
    given = _checked({"path": "the simulation", **lengths}, ReadSettings)
    return measurement_of(build_problem(spec, backend("numpy")), given), of_run


def _run_of(study: Study, settings: Settings, run: str | None) -> tuple[RunSpec, str]:
    """One run of a study, and which it is in words."""
    plan = plan_of(study, settings)
    named = dict(zip(plan.run_ids, plan.runs, strict=True))
    if run is None:
        first = plan.run_ids[0]
        which = f", the first of {len(named)}; another one with --run" if len(named) > 1 else ""
        return named[first], f"{plan.name}, run {first[:8]}{which}"
    matches = [run_id for run_id in named if run_id.startswith(run)]
    if len(matches) != 1:
        raise StudyError(
            f"{len(matches)} runs of {plan.name} have an id that begins with '{run}'; list them with: "
            "ptychosuite plan STUDY"
        )
    return named[matches[0]], f"{plan.name}, run {matches[0][:8]}"


def _measured_file(path: str, settings: Settings) -> MeasuredFile:
    """A data file with the settings of its problem; files that these name count from here."""
    given = {each.path.removeprefix("problem."): each.value for each in overrides_of(settings)}
    if "path" in given:
        raise StudyError("the file is named already; --set path is for studies")
    try:
        given |= resolved_files(MeasuredFile, given, Path.cwd(), ())
    except SettingError as error:
        raise _as_told(error) from error
    found: MeasuredFile = _checked({"path": str(Path(path).resolve()), **given}, MeasuredFile)
    return found


def _checked(settings: Mapping[str, Any], cls: Any) -> Any:
    try:
        return validate(cls, settings, ())
    except SettingError as error:
        raise _as_told(error) from error


def _as_told(error: SettingError) -> StudyError:
    return StudyError(f"--set {'.'.join(map(str, error.path))}: {error.message}")


def _readable(measured: MeasuredFile) -> Measurement:
    """The measurement, where a run would take it: what is guessed does not get into other files as a fact."""
    try:
        measured.size()
    except SettingError as error:
        raise DataFileError(error.message) from error
    return measured.read()
