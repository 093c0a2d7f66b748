"""The page of a station: what a person at the line reads from three metres."""
