"""The use cases: rules and transactions."""
