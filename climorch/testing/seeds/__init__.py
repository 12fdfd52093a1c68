"""Deterministic simulation testing: a campaign, its faults and users from one seed."""
