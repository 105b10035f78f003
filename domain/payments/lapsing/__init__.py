"""What becomes of a payment that waits too long."""
