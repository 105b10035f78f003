"""Meters whose totals are not sums of what events add: their readings, and what these change."""
