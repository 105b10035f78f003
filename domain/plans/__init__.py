"""Owns what can be bought and what it costs: products, plans, versions, prices, meters, entitlements, provider prices.

Does not own subscriptions, usage or invoices. Words: a plan version is published once and never edited; a price turns
a quantity into an amount by its charge model; a meter selects events and gives them a quantity; an entitlement is a
limit or a feature of a plan version; the provider price list says what a call cost on its day.
"""
