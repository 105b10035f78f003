"""Keep decisions, many in one transaction."""
