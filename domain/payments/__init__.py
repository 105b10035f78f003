"""Owns payment methods, the push of opened invoices to the gateway, payment attempts and their one settlement.

Does not own invoices (it marks them paid through `invoices`), what a failed payment means for a subscription
(`contracts`), retries on a calendar (dunning), or how the gateway speaks (`adapters`). No card data: brand, last four
digits, expiry and fingerprint only. Words: a payment method is what is charged; a gateway invoice is the gateway's copy
of an opened invoice; a payment attempt is one try to collect it; an outcome is what is known about a try;
a dispute is a payment that its customer or a bank takes back.
"""
