"""Recompute what stands on invoices from the stored events, and show what a line counted hour by hour."""
