"""Reading and writing rows: one module for each kind."""
