"""Figures and pages from the results store."""
