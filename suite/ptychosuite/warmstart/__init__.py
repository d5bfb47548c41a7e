"""What runs begin from, where other runs have found it: kinds of objects, probes and scans."""
