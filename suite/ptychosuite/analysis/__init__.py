"""From the results store to tables and verdicts."""
