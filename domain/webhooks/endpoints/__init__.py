"""Endpoints of the merchant and their secrets."""
