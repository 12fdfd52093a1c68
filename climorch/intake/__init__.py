"""From what a user declared to a plan, or to all its faults at once."""
