"""What the words mean; the standard library alone."""
