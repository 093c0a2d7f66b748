"""Labelled images in the formats of other tools: read, and written."""
