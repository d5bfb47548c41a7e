"""Array libraries and devices, and what is compiled for NumPy's."""
