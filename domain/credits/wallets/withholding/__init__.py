"""Prepaid credit whose payment is disputed cannot be used until that is decided."""
