"""What was paid for an invoice is taken back by a bank, comes back, or is asked for again."""
