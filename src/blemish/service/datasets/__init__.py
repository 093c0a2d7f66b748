"""Datasets: their entries, the import of manifests, and thumbnails."""
