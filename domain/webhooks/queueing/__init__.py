"""Lanes: what waits for endpoints, customer by customer."""
