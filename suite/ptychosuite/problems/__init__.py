"""Where problems come from: objects, probes and scans, simulated or read from files."""
