"""Extend the due date of an invoice, and collect it then."""
