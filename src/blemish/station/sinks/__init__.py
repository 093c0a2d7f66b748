"""Sinks: where a station delivers its verdicts."""
