"""Drift: whether the images of a line still look as those that its model learned from."""
