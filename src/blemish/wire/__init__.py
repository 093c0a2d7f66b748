"""AWS's protocols, for any service model; names no operation."""
