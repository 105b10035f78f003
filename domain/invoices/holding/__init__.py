"""One derivation of a customer at a time."""
