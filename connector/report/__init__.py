"""The report: what happened and what it was worth, for people who did not run it."""
