"""The fast-forward: an operator carries a reconstruction ahead, and the solver goes on from there."""
