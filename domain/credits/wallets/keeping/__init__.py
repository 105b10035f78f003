"""Wallets held and carried over time, and the rows of every move."""
