"""Monitoring of the server: access log, audit log, metrics, health."""
