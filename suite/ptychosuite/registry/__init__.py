"""Names that users write, the classes behind them, and the checks of what they write."""
