"""Training: what it needs, running it, its log and what it writes."""
