"""Mails about unpaid invoices."""
