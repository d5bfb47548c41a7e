"""The layouts of files of measured data, one a file."""
