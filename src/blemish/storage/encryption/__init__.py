"""Envelope encryption of files and secrets, and the keys for it."""
