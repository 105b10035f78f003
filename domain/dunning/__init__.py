"""Owns what follows a failed payment: when it is tried again, what the customer may still use, and when it is over.

Does not own payment attempts or their settlement (`payments`), why a payment was declined (`payments/declines.py`),
what the end does to a subscription (`contracts`) or the mails (`alerts`). Words: a dunning case is one invoice whose
payment failed; a retry is an attempt by the calendar of the policy; grace is the time in which nothing is taken from
the customer; an access state is what checks answer by; given up means that no retry follows any more.
"""
