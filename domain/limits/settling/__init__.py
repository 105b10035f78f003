"""Endings: a reservation becomes usage, or is given back."""
