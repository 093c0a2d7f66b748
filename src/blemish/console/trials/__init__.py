"""Detections for people to verify: image by image, or a whole trial."""
