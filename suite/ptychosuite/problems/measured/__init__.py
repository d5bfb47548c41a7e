"""Measured ptychography data from files: CXI, NeXus, ptypy's .ptyd and plain arrays."""

from ptychosuite.problems.measured.measurement import Measurement, check, describe
from ptychosuite.problems.measured.settings import MeasuredFile
from ptychosuite.problems.measured.writers import write_cxi

__all__ = ["MeasuredFile", "Measurement", "check", "describe", "write_cxi"]
