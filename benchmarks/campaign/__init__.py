"""The campaign of the hardening: `make campaign`, for hours, or a part of it in `make nightly`."""
