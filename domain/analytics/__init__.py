"""Owns figures about the business: recurring revenue, its movements, retention, and what a customer is worth.

Also what customers see of their own consumption (`consumption/`). Does not own contracts, prices or payments: it reads
what the slices below say. Test customers stand in no figure about the business.
Words: MRR is recurring revenue a month; a bucket is the period that a figure is shown for, read just before its end; a
movement is what one customer's MRR did in a bucket; a cohort is the customers who first paid in the same month; a ratio
with nothing beneath it is None, never 0.
"""
