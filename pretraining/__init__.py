"""Trains the backbone in the package on pictures that code draws; no part of the product."""
