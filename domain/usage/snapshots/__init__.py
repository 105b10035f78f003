"""What one process remembers: facts of the customers who send, and the catalogue with the price list."""
