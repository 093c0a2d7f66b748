"""What a release consists of: `make release` and `make audit`."""
