"""Top-ups of wallets: invoices over nothing but prepaid credit, and what becomes of them."""
