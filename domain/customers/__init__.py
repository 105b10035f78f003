"""Owns customers, their data keys and test clocks: who buys, in which environment, and what time it is for them.

Does not own members (they come from the identity provider's tokens) nor what a customer bought (`subscriptions`).
Words: a customer is live or test for life; a data key seals one customer's personal values and never leaves the
process unwrapped; a test clock replaces real time for the test customers bound to it; business time is the customer's
clock, or real time. Name and e-mail address are stored sealed; every read takes a scope and an environment.
"""
