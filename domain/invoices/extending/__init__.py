"""Give a customer more time to pay an invoice."""
