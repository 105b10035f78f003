"""Owns events from outside and to outside: inbound ones are stored once and processed, outgoing ones reach endpoints.

Does not own what an event means for money (`payments`) or subscriptions (`contracts`), that billing events are written
(`journal`), nor HTTP (`adapters`). Words: an inbox event is a hint, never a fact; a quarantined one is about something
that we cannot place, and waits for staff; a sweep asks the gateway for events that never arrived. An endpoint is a URL
of the merchant's; a lane is one customer's events on their way to one endpoint; a delivery is one try to hand one over;
a replay sends a stretch of the past once more. See docs/decisions/0022-lanes.md.
"""
