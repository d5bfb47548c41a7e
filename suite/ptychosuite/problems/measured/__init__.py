"""Measured ptychography data from files: CXI, NeXus, ptypy's .ptyd and plain arrays."""

from ptychosuite.problems.measured.formats.cxi import write_cxi
from ptychosuite.problems.measured.measured_file import MeasuredFile
from ptychosuite.problems.measured.measurement import Measurement, check, describe

__all__ = ["MeasuredFile", "Measurement", "check", "describe", "write_cxi"]
