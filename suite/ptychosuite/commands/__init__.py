"""The commands, by theme: they parse, call what ptychosuite offers in Python, and print."""
