"""The kinds of figures: settings, drawing and file name of each in one class."""
