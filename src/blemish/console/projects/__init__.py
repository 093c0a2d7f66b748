"""The projects of a server, and the overview of one."""
