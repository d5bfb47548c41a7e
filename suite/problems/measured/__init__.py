"""Measured ptychography data from files: CXI, NeXus, ptypy's .ptyd and plain arrays."""

from suite.problems.measured.measurement import Measurement, check, describe
from suite.problems.measured.settings import MeasuredFile
from suite.problems.measured.writers import write_cxi

__all__ = ["MeasuredFile", "Measurement", "check", "describe", "write_cxi"]
