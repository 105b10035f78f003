"""Disputes and returned debits: followed as the gateway has them, with what they do to the books and the invoice."""
