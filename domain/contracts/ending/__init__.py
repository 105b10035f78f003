"""Ends of subscriptions, carried out."""
