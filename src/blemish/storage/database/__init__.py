"""The database itself: opening it, its tables, its leases and copies of it."""
