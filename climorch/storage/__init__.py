"""What lasts: journal, checkpoints and results as plain files."""
