"""Totals as they are read: running ones for limits and live pages, hours for invoices."""
