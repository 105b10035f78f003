"""The documents of invoices: rendered once, kept sealed by their digest, and shown to whoever has a signed link."""
