"""Backup of a data directory into one file, and the way back."""
