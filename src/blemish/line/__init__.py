"""Lines: stations that run in the server, judged by its hosted models."""
