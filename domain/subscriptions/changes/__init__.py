"""Changes that were asked for, and what became of them."""
