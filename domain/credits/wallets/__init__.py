"""Prepaid wallets of customers: made, granted to, carried over time, and drawn on by invoices."""
