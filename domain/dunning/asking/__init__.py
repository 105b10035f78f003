"""Owns what follows when an invoice is due and there is no payment method to charge it to."""
