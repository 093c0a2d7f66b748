"""Sync: stored images and their verdicts go to the server, for people to review."""
