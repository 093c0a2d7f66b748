"""Images judged for people to verify: one by one, or a whole trial."""
