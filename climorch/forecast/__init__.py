"""What to expect, and what was used: ledgers, histories and forecasts."""
