"""Scorers: how far an image is from the normal images that a detector learned."""
