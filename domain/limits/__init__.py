"""Owns what a plan allows, where a customer stands against it, and what is held for calls under way.

Does not own the amounts (they are entitlements of a plan version, in `plans`) nor what was used (`usage`). Words: a
limit is hard (refused above it), soft (tolerated up to a percentage) or observed; at limit means used equals the limit,
over the soft limit above it, blocked where nothing more is allowed; the bound is where usage must end; the grace is the
time in which a soft limit tolerates more; an override is another amount that staff grant one customer; a decision is
the answer to one request; a reservation holds an estimate until it is settled, released or expires; a lease is what one
process may divide among reservations by itself; an overrun is what was used above its hold; a threshold is a part of a
limit that is worth telling of; a projection is where a period is heading.

`questioning/` understands requests, `leasing/` is the only place where more is granted, `reserving/` answers, and
`settling/` ends reservations. See docs/decisions/0012-leases.md.
"""
