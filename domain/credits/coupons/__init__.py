"""Coupons in use: offers and their codes, who took them up, and what invoices took of them."""
