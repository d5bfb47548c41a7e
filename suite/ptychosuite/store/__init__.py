"""The results store: one immutable file a run, and a dataset derived from them."""
