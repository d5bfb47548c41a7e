"""Kinds of cluster, one small file each: settings, and how it starts."""
