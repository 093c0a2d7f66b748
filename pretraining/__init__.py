"""Trains one of the backbones in the package on drawn pictures; no part of the product."""
