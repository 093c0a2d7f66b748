"""Where long work and hosted models run."""
