"""Settings in, a running server out: its parts put together, and its front to the network."""
