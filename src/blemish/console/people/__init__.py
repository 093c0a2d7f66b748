"""Users and their roles, one's own password, and who did what."""
