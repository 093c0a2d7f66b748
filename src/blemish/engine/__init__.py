"""Images in, scores out; no HTTP, no SQL."""
