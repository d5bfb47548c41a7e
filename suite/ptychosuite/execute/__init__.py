"""One run, from its specification to its record, without Dask."""
