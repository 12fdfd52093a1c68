"""Programs that are steps: how they are started, watched, ended and read."""
