"""Principals, their policies, and whether these allow a request."""
