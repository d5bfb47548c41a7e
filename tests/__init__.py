"""Tests, in one thread each: they run side by side, and NumPy and torch ask when they are imported."""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
