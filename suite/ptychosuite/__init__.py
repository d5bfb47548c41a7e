"""ptychosuite: benchmarks and reproducible studies of ptychographic reconstruction."""

__version__ = "0.1.0"
