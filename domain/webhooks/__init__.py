"""Owns inbound events: each is stored once, sealed, and processed by fetching what it is about.

Does not own what an event means for money (`payments`) or subscriptions (`contracts`), nor signatures (`adapters`).
Words: an inbox event is a hint, never a fact; a quarantined one is about something that we cannot place, and waits for
staff; a sweep asks the gateway for events that never arrived.
"""
