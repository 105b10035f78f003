"""Owns what was used: events and their identity, quarantine, and the totals that are kept beside every event.

Does not own what a meter is or what a call costs (`plans`), periods and borders (`subscriptions`), nor what usage is
worth on an invoice. Words: an event's identity is its customer, source and id, for ever; a verdict is the answer to
one event; a total is per segment, meter and dimensions, by the hour and running; a level carries over from period to
period; a dimension set is one combination of values, named by a digest; quarantine holds what could not be counted
yet; the usage version of a customer grows with every commit that moved a total.
"""
