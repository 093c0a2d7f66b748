"""Sources: where a station takes images from."""
