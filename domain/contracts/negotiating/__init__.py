"""Plan versions that are negotiated with one customer."""
