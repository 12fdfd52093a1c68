"""The orchestrator: facts in, decisions out, no I/O, no clock."""
