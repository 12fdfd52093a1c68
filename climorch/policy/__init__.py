"""What to do: pure functions from what is known to a decision."""
