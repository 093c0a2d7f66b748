"""Anomaly masks, painted in the browser and kept in the bucket."""
