"""Customers ask for plans that are sold on approval."""
