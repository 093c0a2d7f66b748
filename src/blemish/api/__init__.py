"""Lookout for Vision's API."""
