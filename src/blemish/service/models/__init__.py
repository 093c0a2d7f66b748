"""Models: their versions, hosting, thresholds, bundles, packaging and tags."""
