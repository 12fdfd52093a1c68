"""The twin: a virtual cluster, in virtual time."""
