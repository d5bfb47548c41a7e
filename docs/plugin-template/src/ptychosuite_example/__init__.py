"""What this package adds to ptychosuite: one noun a file, named in pyproject.toml."""
