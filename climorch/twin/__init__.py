"""The virtual cluster: months of scheduling in seconds."""
