"""Leases: what one process may divide among reservations by itself, granted by the database."""
