"""What people and programs learn of how the server does: access log, audit log, metrics, health."""
