"""Payments that a person orders on an open invoice, within what card networks allow."""
