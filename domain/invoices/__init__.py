"""Owns invoices, their lines and their numbers: what is due is derived, and the difference to what stands is added.

Does not own prices and charge models (plans), what was used (usage), when a period is closed (contracts) or how money
is collected (payments). Words: an invoice starts as a draft, which can be derived anew, and is opened once; a line is
one amount with the derivation that explains it; a line's identity says what it charges, and a revision is a later
difference of the same identity; a statement keeps lines that are all zero, without number, document or collection; a
draft below the gateway's minimum waits, and what falls due next joins it; a one-off charge waits for the next draft of
its currency; an invoice that is charged back was paid, and a bank took that back for good.
"""
