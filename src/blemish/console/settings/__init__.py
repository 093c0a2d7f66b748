"""The settings of the server, and its access keys."""
