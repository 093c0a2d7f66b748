"""Access keys, the sessions of the console, and who signed a request."""
