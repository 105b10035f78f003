"""Counters: meters whose totals are sums of what each event adds, kept in one row for all that the same events feed."""
