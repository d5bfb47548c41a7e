"""The contracts every other package shares; imports nothing of ours but ``errors``."""
