"""The forward model of ptychography and its pieces, for every array library."""
