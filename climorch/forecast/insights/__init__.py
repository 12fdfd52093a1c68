"""What a campaign could do better: one file for each kind of finding, all pure."""
