"""Attempts that somebody orders: written beside the order itself, and carried out by the collection."""
