"""Invoices that were sent to their customers: reminders, and the dunning case of one that is overdue."""
