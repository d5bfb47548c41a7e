"""What one does with a study, from Python: the functions that the commands call.

Public names are in :mod:`ptychosuite` itself. A study is the path of a study file or the same as a dict;
nothing here prints but through :class:`~ptychosuite.api.display.Progress`, and what goes wrong is a
:class:`~ptychosuite.errors.UserError`.
"""
