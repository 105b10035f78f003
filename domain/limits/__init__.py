"""Owns what a plan allows and where a customer stands against it.

Does not own the amounts (they are entitlements of a plan version, in `plans`) nor what was used (`usage`). Words: a
limit is hard (refused above it), soft (tolerated up to a percentage) or observed; at limit means used equals the limit,
over the soft limit above it, blocked where nothing more is allowed; the bound is where usage must end; the grace is the
time in which a soft limit tolerates more; a decision is the answer to one request; a threshold is a part of a limit
that is worth telling of; a projection is where a period is heading.
"""
