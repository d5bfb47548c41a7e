"""Dask: connecting to a cluster and sending runs to it."""
