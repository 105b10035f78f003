"""Warn of cards that expire, once for each card and expiry."""
