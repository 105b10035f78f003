"""Jobs that a worker gives back which is stopped in the middle of them."""
