"""Reconstruction algorithms, one file each, all with the same two methods: ``init`` and ``step``."""
