"""Owns which rows of the provider price list explain a line. Their tables are those of plans."""
