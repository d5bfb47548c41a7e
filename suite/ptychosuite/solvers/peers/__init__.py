"""Other packages' solvers behind our two methods, for comparison: one file a package."""
