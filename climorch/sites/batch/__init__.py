"""Nodes from a batch system: what all of them have in common."""
