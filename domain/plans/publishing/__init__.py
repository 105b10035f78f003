"""Owns the publishing of a product by its operator: what a definition would change, and making it so."""
