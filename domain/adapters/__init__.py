"""The outside world behind the ports of the slices: one file per party, and the same ports in memory.

Owns talking to Stripe, mail servers, Redis, the queue, the identity provider's keys, and the system's clock. Decides
nothing: what an answer means is said by the slice whose port it is.
"""
