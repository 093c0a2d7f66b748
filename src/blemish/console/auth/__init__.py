"""Signing in, and the guard before every page."""
